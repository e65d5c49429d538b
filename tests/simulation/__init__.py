"""The agent itself in a world that is made up: clock, disk, threads, ports and broker are simulated."""
