"""What the way up costs, from the port to the city: the real agent beside a plain script."""
