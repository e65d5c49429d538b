"""Lets `python -m agent` be the `roadside` command."""

from agent.cli import main

if __name__ == "__main__":
    main()
