"""`make powercut CUTS=N`: power cuts at random moments under load, until there are N; a page tells the result."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click

from hil.vm import image, machine
from tests.hil.vm.powercut.campaign import Campaign
from tests.hil.vm.powercut.report import page, summary


@click.command()
@click.option("--cuts", default=20, show_default=True, help="How many, with those of earlier runs.")
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", default=".powercut", show_default=True, type=click.Path(path_type=Path), help="Kept there.")
@click.option("--at-once", default=1, show_default=True, help="Machines beside each other.")
@click.option("--judge-anew", is_flag=True, help="Cut nothing: judge once more what is kept of earlier cuts.")
def main(cuts: int, seed: int, folder: Path, at_once: int, judge_anew: bool) -> None:
    """Cut the power of a virtual gateway at random moments, and see what is lost."""
    campaign = Campaign(folder, seed)
    if judge_anew:
        campaign.judge_anew()
        _end(campaign)
    if reason := machine.why_not() or image.why_not():
        sys.exit(reason)
    began = time.monotonic()

    def tell(cut: dict[str, Any]) -> None:
        faults = "; ".join(cut["faults"]) or "clean"
        click.echo(
            f"{time.monotonic() - began:6.0f} s  cut {cut['number']}: link {cut['link']}, {cut['loaded_for']:g} s of "
            f"load, {cut['frames']} frames, {cut['lost_frames']} lost in the last {cut['window']:.1f} s, "
            f"{cut['promised']} numbers promised, {cut['presses']} alarms, {cut['lost_presses']} lost: {faults}"
        )
        _write_page(campaign)

    asyncio.run(campaign.run(cuts, tell, at_once))
    _end(campaign)


def _write_page(campaign: Campaign) -> None:
    (campaign.folder / "report.html").write_text(page(campaign.cuts()), encoding="utf-8")


def _end(campaign: Campaign) -> NoReturn:
    done = campaign.cuts()
    _write_page(campaign)
    click.echo(summary(done))
    sys.exit(any(cut["faults"] for cut in done))


if __name__ == "__main__":
    main()
