"""What reasons and faults mean, in the words a technician reads."""

from drivers.contract import N_, FaultKind, Reason

REASONS: dict[Reason, str] = {
    Reason.NO_ECHO: N_("Nothing sent the sound back: too far away, foam, a slope, or nothing there"),
    Reason.NO_FIX: N_("The receiver does not know where it is: too little sky, or just switched on"),
    Reason.NO_TARGET: N_("Nothing is in view"),
    Reason.WARMING_UP: N_("The device is not ready yet after it was switched on or woken"),
    Reason.INVALID: N_("The device itself says that it has no valid value"),
    Reason.OUT_OF_RANGE: N_("Beyond what the device can measure"),
    Reason.BROKEN_WIRE: N_(
        "The loop carries less current than any sensor draws: a wire is broken, or the supply is off"
    ),
    Reason.OVER_RANGE: N_("The loop carries more current than any sensor asks for: a short circuit, or its fault"),
    Reason.NO_REPLY: N_("The device did not answer"),
    Reason.SILENT: N_("Nothing has come from the device for too long"),
    Reason.STUCK: N_("The value or contact does not move any more"),
}

FAULTS: dict[FaultKind, str] = {
    FaultKind.GARBAGE: N_("Bytes that belong to nothing the device sends: noise, a wrong speed, another device"),
    FaultKind.CHECKSUM: N_("Damaged on the way: a bad contact, a long cable, noise"),
    FaultKind.BAD_LENGTH: N_(
        "Looks like the device's beginning and says an impossible length: damage, or another device"
    ),
    FaultKind.TRUNCATED: N_("The end is missing: bytes were lost, or it was switched off meanwhile"),
    FaultKind.MALFORMED: N_("Came whole and makes no sense: another device or firmware, or settings that do not fit"),
    FaultKind.WRONG_DEVICE: N_("Another device answered: an address is used twice, or a late answer"),
    FaultKind.NO_REPLY: N_("No answer: switched off, wrong address or speed, A and B swapped"),
    FaultKind.REFUSED: N_("The device answered that it cannot do what it was asked"),
    FaultKind.OVERRUN: N_("More came in than could be kept"),
    FaultKind.STUCK: N_("The contact does not move any more"),
}
