"""A rig for somebody else's agent."""
