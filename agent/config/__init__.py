"""The configuration: what it may say (model.py), how it is read (load.py) and what is said of mistakes (wording.py)."""
