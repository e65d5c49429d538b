"""The samplers: one task a device, which owns its port, its time and its retries."""
