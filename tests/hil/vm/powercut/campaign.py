"""Power cuts, one after the other: a machine under load, its power taken at a random moment, and all that came of it.

A life begins on a copy of a snapshot, the disk of a machine that was booted once and shut down in order, and sees some
cuts. After each cut the machine boots, everything that it has kept goes up, and the cut is judged; then it is under
load again. Some lives can go on beside each other. Each verdict is a line in a file, beside it lies what was seen, and
the next run of the campaign goes on behind the last one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hil.vm.image import Image, overlay, with_roadside
from tests.hil.vm.powercut.judge import judge
from tests.hil.vm.powercut.kept import keep, kept
from tests.hil.vm.powercut.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUTS_A_LIFE = 10


class Campaign:
    """The folder that a campaign is kept in."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        self.results = folder / "cuts.jsonl"
        self._snapshot = folder / "booted.qcow2"

    def cuts(self) -> list[dict[str, Any]]:
        """Return all cuts so far, in their order."""
        return [json.loads(line) for line in self.results.read_text().splitlines()] if self.results.exists() else []

    async def run(self, cuts: int, told: Callable[[dict[str, Any]], None], at_once: int = 1) -> None:
        """Go on until there are so many cuts all in all, in so many lives at a time."""
        image = self._kept_image()
        if not self._snapshot.exists():
            await self._make_snapshot(image)
        lives = itertools.count(1 + max((cut["life"] for cut in self.cuts()), default=0))

        async def live(place: int) -> None:
            while len(self.cuts()) < cuts:
                await self._live(image, next(lives), self.folder / f"life-{place}.qcow2", cuts, told)

        async with asyncio.TaskGroup() as group:
            for place in range(at_once):
                group.create_task(live(place))

    def judge_anew(self) -> None:
        """Judge what is kept of all cuts once more, and write the verdicts of today."""
        cuts = self.cuts()
        for cut in cuts:
            if (path := self._seen_of(cut["number"])).exists():
                cut.update(asdict(judge(kept(path))))
        self.results.write_text("".join(json.dumps(cut) + "\n" for cut in cuts))

    def _seen_of(self, number: int) -> Path:
        return self.folder / f"seen-{number}.json.gz"

    def _kept_image(self) -> Image:
        """Return the image that the campaign began with: all its cuts are of one build."""
        image = Image(self.folder / "vmlinux", self.folder / "initrd", self.folder / "disk.img")
        if not image.disk.exists():
            for made, kept in zip(with_roadside()[:3], image[:3], strict=True):
                kept.unlink(missing_ok=True)
                kept.hardlink_to(made) if made.stat().st_dev == self.folder.stat().st_dev else shutil.copy(made, kept)
        return image

    async def _make_snapshot(self, image: Image) -> None:
        part = self.folder / "part.qcow2"
        part.unlink(missing_ok=True)
        async with Life(image, part, random.Random(self._seed)) as life:
            await life.runs()
            await life.machine.shut_down()
        part.replace(self._snapshot)

    async def _live(
        self, image: Image, number: int, disk: Path, cuts: int, told: Callable[[dict[str, Any]], None]
    ) -> None:
        self._begin_anew(disk)
        async with Life(image, disk, random.Random(f"{self._seed} {number}")) as life:
            for _ in range(CUTS_A_LIFE):
                judged, seen = await life.cut()
                cut = {"number": len(self.cuts()) + 1, "life": number, **judged}
                if seen is not None:
                    keep(self._seen_of(cut["number"]), seen)
                if cut["faults"]:
                    self._keep(life, cut["number"])
                with self.results.open("a") as file:
                    file.write(json.dumps(cut) + "\n")
                told(cut)
                if life.worn or len(self.cuts()) >= cuts:
                    return

    def _begin_anew(self, disk: Path) -> None:
        disk.unlink(missing_ok=True)
        overlay(disk, self._snapshot)

    def _keep(self, life: Life, number: int) -> None:
        """Keep what helps to find out what went wrong."""
        kept = self.folder / f"fault-{number}"
        kept.mkdir(exist_ok=True)
        (kept / "console.log").write_text(life.machine.console)
        shutil.copy(life.machine.overlay, kept / "disk.qcow2")
