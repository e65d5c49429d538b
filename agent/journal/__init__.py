"""The durable store-and-forward log of packs."""
