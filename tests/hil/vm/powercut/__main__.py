"""`make powercut CUTS=N`: power cuts at random moments under load, until there are N; a page tells the result."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import click

from hil.vm import image, machine
from tests.hil.vm.powercut.campaign import Campaign
from tests.hil.vm.powercut.report import page, summary


@click.command()
@click.option("--cuts", default=20, show_default=True, help="How many, with those of earlier runs.")
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", default=".powercut", show_default=True, type=click.Path(path_type=Path), help="Kept there.")
def main(cuts: int, seed: int, folder: Path) -> None:
    """Cut the power of a virtual gateway at random moments, and see what is lost."""
    if reason := machine.why_not() or image.why_not():
        sys.exit(reason)
    campaign = Campaign(folder, seed)
    began = time.monotonic()

    def tell(cut: dict[str, Any]) -> None:
        faults = "; ".join(cut["faults"]) or "clean"
        click.echo(
            f"{time.monotonic() - began:6.0f} s  cut {cut['number']}: link {cut['link']}, {cut['loaded_for']:g} s of "
            f"load, {cut['frames']} frames, {cut['lost_frames']} lost in the last {cut['window']:.1f} s, "
            f"{cut['promised']} numbers promised, {cut['presses']} alarms, {cut['lost_presses']} lost: {faults}"
        )
        (folder / "report.html").write_text(page(campaign.cuts()), encoding="utf-8")

    asyncio.run(campaign.run(cuts, tell))
    done = campaign.cuts()
    click.echo(summary(done))
    sys.exit(any(cut["faults"] for cut in done))


if __name__ == "__main__":
    main()
