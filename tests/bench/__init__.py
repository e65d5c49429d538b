"""What the agent costs, measured: `make bench`. Plain modules, no tests; nothing here runs in `make test`."""
