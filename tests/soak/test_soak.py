"""A soak of some minutes' worth of readings: all its troubles come to pass, and the account is clean."""

import pytest

from tests.bench.figures import figures
from tests.soak.__main__ import measured
from tests.soak.soak import Soak

pytestmark = pytest.mark.system


async def test_a_short_soak_meets_every_trouble_and_loses_nothing(tmp_path):
    soaked = await Soak(0.1, 240, tmp_path, tell=print).run()
    assert soaked.account.clean, f"{soaked.account}\n{soaked.account.lost}\n{soaked.account.misdated}"
    assert soaked.account.received
    assert not soaked.faults
    assert len(soaked.troubles) > 25
    assert soaked.reconnects
    found = {one.what: one for one in figures([measured(soaked)])}
    assert found["lost"].reached
    assert found["anonymous memory: growth in a day"].reached is None, "a day is not judged by its first minutes"
    assert found["anonymous memory, most"].value > 1
