"""Makes cards for gateways, on a laptop: nothing that runs on a gateway imports this (docs/flash.md)."""
