"""Commissioning: a technician walks through the mounted cabinet, device by device, and a signed report goes up."""
