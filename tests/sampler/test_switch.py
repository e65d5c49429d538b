"""Outputs on a serial line: they are what they answer, and no order is obeyed before that."""

import asyncio
from dataclasses import dataclass, field

import pytest

from agent.readings import AlarmEvent
from agent.sampler.output import Sounding
from agent.sampler.poll import Bus
from agent.sampler.switch import follow
from drivers import registry
from drivers.contract import Ask, SerialLine
from drivers.seams import PortError, PortFault
from tests.drivers.modbus_line import Server
from tests.sampler.bench import device, on_bench, passes

LINE = SerialLine(9600)
PATH = "/dev/rs485"
DELAY = 0.03  # seconds until a board answers


class Board(Server):
    """A relay board at the far end of a bus; implements `drivers.seams.SerialPort`."""

    def __init__(self, **more):
        super().__init__(**more)
        self.deaf = False  # hears nothing
        self.mute = set()  # functions that it obeys and does not answer
        self.gone = False
        self.arriving = asyncio.Queue()

    async def open(self, path, line):
        del line
        if self.gone:
            raise PortError(PortFault.MISSING, path, "gone")
        return self

    async def read(self):
        return await self.arriving.get()

    def write(self, data):
        if self.gone:
            raise PortError(PortFault.UNPLUGGED, PATH, "gone")
        if self.deaf:
            return
        answer = self(Ask(data, lambda _: None, 0.0))
        if answer and data[1] not in self.mute:
            asyncio.get_running_loop().call_later(DELAY, self.arriving.put_nowait, answer)

    def flush(self):
        while not self.arriving.empty():
            self.arriving.get_nowait()

    def close(self):
        pass

    @property
    def writes(self):
        return [(coil, value) for function, coil, value in self.asked if function == 5]


@dataclass
class Rig:
    """A board, one output of it, and who calls for it."""

    bench: object
    driver: str = "relay8"
    board: Board = field(default_factory=Board)
    sounding: Sounding = field(default_factory=Sounding)

    def work(self, every=10.0, **settings):
        driver = registry.load(self.driver)
        self.pipeline = self.bench.pipeline(device(driver, "siren-1", driver.settings(**settings)))
        bus = Bus(self.board, PATH, LINE, self.bench.clock)
        return follow(self.pipeline, driver, self.sounding, bus, every, self.bench.clock)

    def state(self):
        return self.pipeline.latest["on"].measurement


def alarm(raised, name="a" * 16):
    return AlarmEvent("air-1", "flood", 0, name, raised)


def test_what_an_earlier_agent_left_on_is_switched_off_first(tmp_path):
    async def test(bench):
        rig = Rig(bench, board=Board(coils={0, 5}))
        async with bench.running(rig.work()):
            await passes(1)
            assert rig.board.coils == {5}
            assert rig.state().value is False

    on_bench(tmp_path, test)


def test_an_order_is_obeyed_when_the_board_has_said_so(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work(relay=3)):
            await passes(1)
            await rig.sounding.order(True, 5.0)
            assert rig.board.coils == {2}
            assert rig.state().value is True
            await passes(5.5)
            assert rig.board.coils == set()
            assert rig.board.writes == [(2, 0xFF00), (2, 0)]

    on_bench(tmp_path, test)


def test_an_alarm_sounds_it_and_its_end_ends_it(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            rig.sounding.hear(alarm(True))
            await passes(1)
            assert rig.board.coils == {0}
            rig.sounding.hear(alarm(False))
            await passes(1)
            assert rig.board.coils == set()

    on_bench(tmp_path, test)


def test_the_longest_time_ends_it(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work(longest_on=60.0)):
            rig.sounding.hear(alarm(True))
            await passes(59)
            assert rig.board.coils == {0}
            await passes(2)
            assert rig.board.coils == set()

    on_bench(tmp_path, test)


def test_a_lost_echo_is_no_reason_to_write_again(tmp_path):
    async def test(bench):
        rig = Rig(bench, board=Board())
        rig.board.mute = {5}
        async with bench.running(rig.work()):
            await passes(1)
            await rig.sounding.order(True, 60.0)
            await passes(20)
            assert rig.board.writes == [(0, 0xFF00)]
            assert rig.pipeline.faults["no_reply"] == 1

    on_bench(tmp_path, test)


def test_an_order_that_was_given_up_is_not_obeyed_later(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            await passes(1)
            rig.board.deaf = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await rig.sounding.order(True, 60.0)
            rig.board.deaf = False
            await passes(60)
            assert rig.board.writes == []

    on_bench(tmp_path, test)


def test_an_order_that_was_given_up_while_it_was_carried_out_is_taken_back(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            await passes(1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await rig.sounding.order(True, 60.0)
            await passes(3)
            assert rig.board.coils == set()
            assert rig.board.writes == [(0, 0xFF00), (0, 0)]

    on_bench(tmp_path, test)


def test_an_alarm_is_heard_as_soon_as_the_board_is_back(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        rig.board.deaf = True
        async with bench.running(rig.work()):
            rig.sounding.hear(alarm(True))
            await passes(30)
            rig.board.deaf = False
            await passes(11)
            assert rig.board.coils == {0}

    on_bench(tmp_path, test)


def test_a_board_that_lost_its_power_is_put_right(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            rig.sounding.hear(alarm(True))
            await passes(1)
            rig.board.coils.clear()
            await passes(11)
            assert rig.board.coils == {0}

    on_bench(tmp_path, test)


def test_it_is_off_when_the_agent_stops(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            rig.sounding.hear(alarm(True))
            await passes(1)
        assert rig.board.coils == set()
        assert rig.state().value is False

    on_bench(tmp_path, test)


def test_an_output_that_cannot_be_switched_off_when_the_agent_stops_is_told_as_unknown(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        async with bench.running(rig.work()):
            rig.sounding.hear(alarm(True))
            await passes(1)
            rig.board.deaf = True
        assert (rig.state().value, rig.state().reason) == (None, "no_reply")

    on_bench(tmp_path, test)


def test_a_lost_bus_is_an_error_and_the_state_is_unknown(tmp_path):
    async def test(bench):
        rig = Rig(bench)
        work = asyncio.create_task(rig.work())
        rig.sounding.hear(alarm(True))
        await passes(1)
        rig.board.gone = True
        await passes(11)
        with pytest.raises(PortError):
            await work
        assert rig.state().reason == "no_reply"
        rig.board.gone = False
        async with bench.running(rig.work()):
            await passes(1)
            assert rig.board.coils == {0}  # the alarm stands

    on_bench(tmp_path, test)


def test_a_board_with_a_clock_of_its_own_is_told_how_long(tmp_path):
    async def test(bench):
        rig = Rig(bench, driver="waveshare_relay")
        async with bench.running(rig.work(relay=2)):
            await passes(1)
            order = asyncio.create_task(rig.sounding.order(True, 30.0))
            await passes(0.5)
            assert rig.board.writes == [(0x0201, 300)]
            order.cancel()

    on_bench(tmp_path, test)
