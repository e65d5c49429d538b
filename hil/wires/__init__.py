"""What the simulated devices are plugged into, and the agent opens."""
