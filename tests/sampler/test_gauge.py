"""The gateway as its own device, in the sampler: looked at often, told seldom, counted across restarts."""

import pytest

from agent.host.files import SystemFolder
from agent.sampler.gauge import observe
from agent.sampler.ranging import measure
from drivers.contract import Reason
from drivers.devices import hcsr04, host
from drivers.ports.scripted import ScriptedGpioPorts, ScriptedRanging
from drivers.seams import GatewayView, PortError, PortFault
from hil.devices.host import HostFiles
from tests.sampler.bench import device, on_bench, passes

PI = device(host.DRIVER, "pi", host.Settings())
PIT = device(hcsr04.DRIVER, "pit", hcsr04.Settings(trigger=23, echo=24))


def observing(bench, folder):
    view = GatewayView(SystemFolder(folder), lambda _: pytest.fail("nobody asked for a link"))
    return observe(bench.pipeline(PI), host.DRIVER, 60.0, view, bench.clock)


def test_drops_of_the_supply_are_counted_across_a_restart(tmp_path):
    files = HostFiles(tmp_path / "root")

    async def before(bench):
        async with bench.running(observing(bench, tmp_path / "root")):
            await passes(5)
            files.undervoltage(low=True)
            await passes(5)
        assert ("pi/undervoltages", 1) in bench.sent()
        files.undervoltage(low=False)

    async def after(bench):
        async with bench.running(observing(bench, tmp_path / "root")):
            await passes(5)
            files.undervoltage(low=True)
            await passes(65)
        sent = bench.sent()
        assert [value for name, value in sent if name == "pi/undervoltages"] == [1, 2, 2]
        assert [value for name, value in sent if name == "pi/load"] == [0.21, 0.21]

    on_bench(tmp_path / "journal", before)
    on_bench(tmp_path / "journal", after)


def test_an_echo_is_measured_at_its_pace_until_the_port_is_lost(tmp_path):
    gone = PortError(PortFault.FAILED, "GPIO23 and GPIO24")

    async def test(bench):
        ports = ScriptedGpioPorts({24: ScriptedRanging(0.01, Reason.NO_REPLY, gone)})
        began = bench.clock.seconds()
        with pytest.raises(PortError):
            await measure(bench.pipeline(PIT), hcsr04.DRIVER, ports, 5.0, bench.clock)
        assert bench.clock.seconds() - began == pytest.approx(10, abs=0.1)
        assert bench.sent()[0] == ("pit/water_distance", pytest.approx(1.741))

    on_bench(tmp_path, test)
