"""HLK-LD2451 radar for vehicles on a UART: F4 F3 F2 F1, length, targets, F8 F7 F6 F5; some ten reports a second.

It has no checksum: a report counts if its tail, its length and the number of its targets agree. Without a target it
sends length 0, or nothing at all, depending on its firmware. Commands and their acknowledgements are passed over.
Source: Hi-Link, HLK-LD2451 serial communication protocol V1.03, 1.2 and 1.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from drivers import tracks
from drivers.contract import N_, FaultKind, ListeningDriver, Measurement, SerialLine, Wire
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import unit
from drivers.tracks import Clear, Echoes, Send, Totals, TrackingDecoder
from drivers.wiring import GND, RXD, TXD, V5

HEAD, TAIL = b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5"
COMMAND_HEAD, COMMAND_TAIL = b"\xfd\xfc\xfb\xfa", b"\x04\x03\x02\x01"
HEADER_SIZE = 6  # head and length, low byte first
FIRST, EACH = 2, 5  # bytes before the targets: their number, alarm; bytes of a target
MOST_DATA = FIRST + 20 * EACH  # bytes; more than the beam can hold
MOST_COMMAND_DATA = 64  # bytes
STRAIGHT_AHEAD = 0x80  # as an angle
AWAY, TOWARD = 0, 1
KILOMETRE_PER_HOUR = 1 / 3.6  # m/s
ECHO = ("vehicle_toward", "vehicle_distance", "vehicle_angle", "vehicle_snr", "alarm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What goes up, and when a vehicle counts."""

    send: Send = "vehicles"
    clear: Clear = 1.5
    echoes: Echoes = 2
    totals: Totals = 60.0


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what goes up."""
    names = tracks.QUANTITIES if settings.send == "vehicles" else (*tracks.QUANTITIES, *ECHO)
    return {name: unit(name) for name in names}


def data_length(header: bytes) -> int:
    """Return how many bytes follow the header, the tail left out."""
    return header[4] | header[5] << 8


def size(header: bytes) -> int:
    """Return the size of a report with this header, 0 if there is none of that length."""
    length = data_length(header)
    possible = not length or (length <= MOST_DATA and length % EACH == FIRST)
    return HEADER_SIZE + length + len(TAIL) if possible else 0


def size_of_command(header: bytes) -> int:
    """Return the size of a command or acknowledgement with this header, 0 if there is none of that length."""
    length = data_length(header)
    return HEADER_SIZE + length + len(COMMAND_TAIL) if length <= MOST_COMMAND_DATA else 0


def intact(report: bytes) -> bool:
    """Tell whether the tail is in its place, the targets are as many as they should be, and each has a direction."""
    data = report[HEADER_SIZE : -len(TAIL)]
    counted = not data or data[0] * EACH + FIRST == len(data)
    return report.endswith(TAIL) and counted and all(way in {AWAY, TOWARD} for way in data[FIRST + 2 :: EACH])


def decode(report: bytes) -> list[Measurement]:
    """Return how many targets there are, and each of them."""
    data = report[HEADER_SIZE : -len(TAIL)]
    said = [Measurement("targets", data[0] if data else 0)]
    if data:
        said.append(Measurement("alarm", bool(data[1])))
    for start in range(FIRST, len(data), EACH):
        angle, distance, way, speed, snr = data[start : start + EACH]
        toward = way == TOWARD
        signed = speed if toward else -speed
        said += (
            Measurement("vehicle_speed", round(signed * KILOMETRE_PER_HOUR, tracks.DIGITS)),
            Measurement("vehicle_toward", toward),
            Measurement("vehicle_distance", float(distance)),
            Measurement("vehicle_angle", angle - STRAIGHT_AHEAD),
            Measurement("vehicle_snr", snr),
        )
    return said


REPORT = Framing(HEAD, HEADER_SIZE, size, intact, decode, FaultKind.MALFORMED)
COMMAND = Framing(
    COMMAND_HEAD,
    HEADER_SIZE,
    size_of_command,
    lambda command: command.endswith(COMMAND_TAIL),
    lambda _: (),
    FaultKind.MALFORMED,
)


def decoder(_settings: Settings) -> FrameDecoder:
    """Return a decoder of all reports."""
    return FrameDecoder(REPORT, COMMAND)


def tracker(settings: Settings) -> TrackingDecoder:
    """Return a decoder that follows the vehicles."""
    return TrackingDecoder(
        decoder(settings), send=settings.send, clear=settings.clear, echoes=settings.echoes, totals=settings.totals
    )


DRIVER = ListeningDriver(
    name="ld2451",
    title="Hi-Link HLK-LD2451",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(115200),
    make=decoder,
    timed=tracker,
    silent_after=3600.0,  # on some firmware an empty road is silent
    event=True,
    faults=(FaultKind.MALFORMED, FaultKind.BAD_LENGTH, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("5V"), V5),
        Wire(N_("GND"), GND),
        Wire(N_("TX"), RXD, N_("3.3 V levels, no divider needed")),
        Wire(N_("RX"), TXD, N_("only to set it up")),
    ),
    notes=(
        N_("On some firmware an empty road is silent: set silent_after to more than the longest quiet of the night"),
        N_("Where targets 0 comes on an empty road it may be five minutes: a dead radar is then noticed sooner"),
        N_("Vehicles side by side at the same speed count as one, a long lorry may count as two"),
        N_("It sees the speed straight towards it: mount it so that the angle to the lane is small"),
    ),
    source="Hi-Link HLK-LD2451 serial communication protocol V1.03; silence and pairs of echoes: logs of users",
)
