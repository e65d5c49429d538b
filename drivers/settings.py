"""Settings that several drivers share, with their limits and their words."""

from typing import Annotated, Literal

from drivers.contract import N_, Help, Interval

Pin = Annotated[int, Interval(ge=0, le=27), Help(N_("GPIO number (BCM), not the number of the pin on the header"))]
Pull = Annotated[Literal["up", "down", "none"], Help(N_("Resistor of the Pi that holds the open input at a level"))]
Active = Annotated[Literal["low", "high"], Help(N_("Level of the pin that means closed, pressed or on"))]
Hold = Annotated[
    float,
    Interval(gt=0, le=1),
    Help(N_("How long a level must last to count; what is shorter is contact bounce"), unit="s"),
]
Report = Annotated[
    float,
    Interval(ge=1, le=600),  # well within the `silent_after` of these drivers
    Help(N_("How often the state goes up although nothing happened"), unit="s"),
]
FIRST_MODBUS_ADDRESS = 1  # what nearly all devices leave the factory with
ModbusAddress = Annotated[  # None in a recording: whichever device is heard
    int | None, Interval(ge=1, le=247), Help(N_("Modbus address that is set in the device; 1 unless given"))
]
LongestOn = Annotated[
    float, Interval(gt=0, le=86400), Help(N_("Longest time it stays on without being asked again"), unit="s")
]
