"""`roadside enrol authority`: makes what signs the certificates of a city's gateways and brokers."""

from __future__ import annotations

from pathlib import Path

import click

from agent.i18n import _


@click.command(help=_("Make the workshop's certificate authority in a new folder DIR."))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--url", required=True, help=_("At which gateways will find the service: https://host:port"))
@click.option("--name", default="Roadside authority", show_default=True, help=_("What its certificate calls it."))
def command(folder: Path, url: str, name: str) -> int:
    """Make it."""
    if not url.startswith("https://"):
        raise click.BadParameter(_("must begin with https://"), param_hint="--url")
    try:
        from agent.enrolling.authority import Authority
    except ImportError as error:
        raise click.ClickException(
            _('{error}: run pip install ".[enrol]" -c constraints.txt in the checkout').format(error=error)
        ) from None
    try:
        made = Authority.make(folder, url.rstrip("/"), name)
    except FileExistsError as error:
        text = _("{path} is there already: an authority is made once, in a folder of its own")
        raise click.ClickException(text.format(path=error.filename)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
    click.echo(made.fingerprint)
    click.echo(
        _("Brokers and gateways trust {root}. Take {key} to a safe place, away from this machine.").format(
            root=folder / "root.pem", key=folder / "root.key"
        ),
        err=True,
    )
    return 0
