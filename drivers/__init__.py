"""Drivers: one file a device family, each a pure protocol without clock, port or log."""
