"""Making vehicles of the echoes of a traffic radar: many echoes in a row are one vehicle, which is counted once."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Literal

from drivers.contract import N_, Fault, Help, Interval, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.contract import Decoder, Item

# What goes up of a vehicle that was followed through the beam.
QUANTITIES = ("vehicle_speed", "targets", "vehicles", "vehicles_toward", "vehicles_away")
TOTALS = ("vehicles_toward", "vehicles_away")
APART = 6.0  # metres: the echoes of one car are nearer to each other, two cars in a row further apart
SPEED_APART = 3.0  # m/s, or:
SPEED_SHARE = 0.3  # of the speed: what it may change by from one echo to the next, its angle included
MOST = 32  # tracks at once: more than a beam can hold are noise
DIGITS = 3  # of a speed in m/s

Send = Annotated[
    Literal["vehicles", "echoes"],
    Help(N_("What goes up: each vehicle once and totals, or each echo of each vehicle, some ten a second")),
]
Clear = Annotated[
    float,
    Interval(ge=0.2, le=60),
    Help(N_("A vehicle that was not seen for so long is gone"), unit="s"),
]
Echoes = Annotated[
    int, Interval(ge=1, le=100), Help(N_("Echoes that make a vehicle; fewer are taken for noise and not counted"))
]
Totals = Annotated[
    float, Interval(ge=1, le=600), Help(N_("How often the totals go up while the device is heard"), unit="s")
]


@dataclass(slots=True, eq=False)
class Track:
    """One vehicle in sight. Its speed is positive when it comes nearer."""

    speed: float  # m/s; the last
    distance: float | None  # metres; the last; None from a radar that measures none
    seen: float  # when, seconds
    sum: float = 0.0  # of its speeds
    echoes: int = 0

    def take(self, speed: float, distance: float | None, at: float) -> None:
        """Take one more echo."""
        self.speed, self.distance, self.seen = speed, distance, at
        self.sum += speed
        self.echoes += 1

    def misfit(self, speed: float, distance: float | None, at: float) -> float | None:
        """Return how far an echo is from what is expected of this vehicle next; None if it is not of this one.

        Metres and m/s are added: at an overtaking the place tells nothing, the speed does.
        """
        same_way = (speed > 0) == (self.speed > 0)
        if not same_way or abs(speed - self.speed) > max(SPEED_APART, SPEED_SHARE * abs(self.speed)):
            return None
        if distance is None or self.distance is None:
            return abs(speed - self.speed)
        gap = abs(self.distance - self.speed * (at - self.seen) - distance)
        return gap + abs(speed - self.speed) if gap <= APART else None


class TrackingDecoder:
    """Follows the vehicles in what a radar's decoder says; a `drivers.contract.TimedDecoder`.

    A vehicle goes up when it is gone, with its mean speed; the totals every `totals` seconds, but only while something
    comes from the radar: a dead one must fall silent. With `send` = "echoes" all goes up as the decoder says it, and
    the totals.
    """

    def __init__(self, decoder: Decoder, *, send: Send, clear: Clear, echoes: Echoes, totals: Totals) -> None:
        self._decoder = decoder
        self._send_echoes = send == "echoes"
        self._clear = clear
        self._echoes = echoes
        self._every = totals
        self._tracks: list[Track] = []
        self._totals = dict.fromkeys(TOTALS, 0)
        self._totals_due: float | None = None
        self._heard = False  # since the totals went up
        self._in_sight: int | None = None  # as it last went up

    def feed(self, data: bytes, at: float) -> list[Item]:
        """Take the next bytes, which came at that time."""
        items: list[Item] = [*self._end_tracks(at)]
        said = self._decoder.feed(data)
        items += said if self._send_echoes else [item for item in said if isinstance(item, Fault)]
        for speed, distance in echoes(said):
            self._take(speed, distance, at)
        if any(isinstance(item, Measurement) for item in said):
            self._heard = True
        return [*items, *self._news(at)]

    def due(self) -> float | None:
        """Return when the next vehicle is gone, or the totals are due."""
        dues = [track.seen + self._clear for track in self._tracks]
        if self._heard and self._totals_due is not None:
            dues.append(self._totals_due)
        return min(dues, default=None)

    def tick(self, at: float) -> list[Item]:
        """Let time pass."""
        return [*self._end_tracks(at), *self._news(at)]

    def memory(self) -> Mapping[str, float]:
        """Return the totals: they go on after a restart."""
        return dict(self._totals)

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the totals of an earlier run."""
        self._totals = {name: round(memory.get(name, 0)) for name in TOTALS}

    def _take(self, speed: float, distance: float | None, at: float) -> None:
        fits = [(misfit, track) for track in self._tracks if (misfit := track.misfit(speed, distance, at)) is not None]
        if fits:
            _, track = min(fits, key=itemgetter(0))
        elif len(self._tracks) < MOST:
            track = Track(speed, distance, at)
            self._tracks.append(track)
        else:
            return
        track.take(speed, distance, at)
        if track.echoes == self._echoes:
            self._totals["vehicles_toward" if speed > 0 else "vehicles_away"] += 1

    def _end_tracks(self, at: float) -> Iterator[Measurement]:
        """Yield the speed of each vehicle that is gone."""
        for track in [track for track in self._tracks if at >= track.seen + self._clear]:
            self._tracks.remove(track)
            if track.echoes >= self._echoes and not self._send_echoes:
                yield Measurement("vehicle_speed", round(track.sum / track.echoes, DIGITS), age=at - track.seen)

    def _news(self, at: float) -> Iterator[Measurement]:
        """Yield how many vehicles are in sight if that has changed, and the totals if they are due."""
        if not self._heard and self._in_sight is None:
            return  # nothing was ever heard
        in_sight = sum(track.echoes >= self._echoes for track in self._tracks)
        if in_sight != self._in_sight and not self._send_echoes:
            yield Measurement("targets", in_sight)
        self._in_sight = in_sight
        if self._heard and (self._totals_due is None or at >= self._totals_due):
            self._heard, self._totals_due = False, at + self._every
            yield Measurement("vehicles", sum(self._totals.values()))
            for name, total in self._totals.items():
                yield Measurement(name, total)


def echoes(items: list[Item]) -> Iterator[tuple[float, float | None]]:
    """Yield speed and distance of each moving echo; a decoder says the speed first, then perhaps the distance."""
    speed: float | None = None
    for item in items:
        if not isinstance(item, Measurement) or not isinstance(item.value, float):
            continue
        if item.quantity == "vehicle_speed":
            if speed:
                yield speed, None
            speed = item.value
        elif item.quantity == "vehicle_distance" and speed:
            yield speed, item.value
            speed = None
    if speed:
        yield speed, None
