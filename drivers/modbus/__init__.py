"""Modbus RTU: the client, the profiles that say what a device's registers mean, and the drivers made of them."""
