"""The `roadside` command; every subcommand is a file in agent/commands, imported only when it is called."""


def main() -> None:
    """Run the command line."""
