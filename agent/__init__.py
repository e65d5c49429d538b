"""The asyncio agent and the `roadside` command."""

VERSION = "0.1.0"  # the whole distribution's: pyproject.toml takes it from here
