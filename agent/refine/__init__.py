"""What lies between a driver's measurement and the journal, for one device: pure, without clock, I/O or await.

The way of a measurement, one file each: `presence` (silent, warming up), `calibration` (calibrated, plausible),
`stuck`, `limits` and `alarms` (raised and cleared), `thinning` or `window` (what need not go up). `refiner` puts them
in a row.
"""

from agent.refine.refiner import Refiner

__all__ = ["Refiner"]
