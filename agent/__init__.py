"""The asyncio agent and the `roadside` command."""
