"""Where the wires of a device go on the Pi's header: the words that every driver's table of wires uses."""

from drivers.contract import N_

V3 = N_("3.3 V (pin 1 or 17)")
V5 = N_("5 V (pin 2 or 4)")
GND = N_("GND (pin 6, 9, 14, 20, 25, 30, 34 or 39)")
TXD = N_("GPIO14, TXD (pin 8)")
RXD = N_("GPIO15, RXD (pin 10)")
PIN = N_("the GPIO pin that is configured")
A = N_("A (D+) of the RS-485 adapter")
B = N_("B (D-) of the RS-485 adapter")
RS232 = N_("RS-232 adapter; never to the Pi's own pins")
SUPPLY = N_("a supply of its own")
OPEN = N_("stays open")
