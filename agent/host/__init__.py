"""The real machine: the seams of the agent on Linux. Only the composition root imports from here."""
