"""The configuration: what it may say (model.py), how it is read (load.py) and what is said of mistakes (wording.py)."""

LARGEST = 1 << 20  # bytes; a configuration of a hundred devices has some 20 kB
