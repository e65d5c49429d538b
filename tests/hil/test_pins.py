"""gpiozero, unchanged, in a process of its own, on pins that the rig drives."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from hil.devices.button import Button
from hil.devices.rain_gauge import RainGauge
from hil.devices.siren import Siren
from hil.emissions import Kind
from hil.pinboard import PinBoard
from tests.hil.waiting import until

AGENT = dedent("""
    import sys
    from gpiozero import LED, Button
    button, siren = Button(17), LED(22)
    def say(word):
        print(word, flush=True)
    button.when_pressed = lambda: (siren.on(), say("pressed"))
    button.when_released = lambda: (siren.off(), say("released"))
    say("closed" if button.is_pressed else "open")
    sys.stdin.read()
""")


@pytest.fixture
async def board(tmp_path):
    async with PinBoard(tmp_path / "pins.sock") as board:
        yield board


async def claims(board: PinBoard) -> None:
    async with asyncio.timeout(5):
        await board.claims(17, 22)


class Agent:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self) -> str:
        async with asyncio.timeout(5):
            return (await self.process.stdout.readline()).decode().strip()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


@pytest.fixture
async def start(board):
    agents = []

    async def start(script: str = AGENT) -> Agent:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, cwd=board.path.parent, env=os.environ | {"GPIOZERO_PIN_FACTORY": "rig"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        agents.append(Agent(process))
        return agents[-1]

    yield start
    for agent in agents:
        await agent.kill()


async def test_a_press_reaches_gpiozero_and_the_led_reaches_the_rig(board, start):
    agent = await start()
    assert await agent.says() == "open"
    await claims(board)
    assert board.pulls[17] == "up"
    board.set(17, False)
    assert await agent.says() == "pressed"
    await until(lambda: board.reads(22))
    board.set(17, True)
    assert await agent.says() == "released"
    await until(lambda: board.reads(22) is False)


async def test_a_switch_that_is_closed_before_the_agent_starts_is_seen_closed(board, start):
    board.set(17, False)
    agent = await start()
    assert await agent.says() == "closed"


async def test_edges_keep_their_times_however_late_the_agent_comes(board, start):
    agent = await start(
        dedent("""
        import sys
        from gpiozero import Button
        button = Button(17)
        button.pin.when_changed = changed = lambda ticks, state: print(ticks, state, flush=True)
        print("open", flush=True)
        sys.stdin.read()
    """)
    )
    await agent.says()
    async with asyncio.timeout(5):
        await board.claims(17)
    agent.process.send_signal(signal.SIGSTOP)
    made = time.monotonic()
    board.edges(17, [(False, 0), (True, 0.002), (False, 0.002)])
    await asyncio.sleep(0.05)  # how long the agent is late, and not for anything to happen
    agent.process.send_signal(signal.SIGCONT)
    edges = [(await agent.says()).split() for _ in range(3)]
    assert [level for _, level in edges] == ["False", "True", "False"]
    assert [float(at) - made for at, _ in edges] == pytest.approx([0, 0.002, 0.004], abs=0.01)
    assert float(edges[2][0]) - float(edges[0][0]) == pytest.approx(0.004, abs=1e-5)


async def test_a_killed_agent_lets_go_of_its_pins_and_the_next_takes_them(board, start):
    agent = await start()
    await claims(board)
    await agent.says()
    board.set(17, False)
    await agent.says()
    await until(lambda: board.reads(22))
    before = time.time()
    await agent.kill()
    await until(lambda: not board.claimed(17))
    assert not board.connected
    assert board.reads(22) is None
    agent = await start()
    assert await agent.says() == "closed"
    await claims(board)
    (first_since, first_until), (since, again) = board.stretches(17)
    assert first_since == -float("inf")
    assert first_until < before <= since < again


async def test_an_agent_that_finds_no_rig_says_where_it_looked(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "rig", "RIG_PINS": "nowhere.sock"},
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1
    assert "nowhere.sock: no rig listens here (No such file or directory)" in said.decode()


# --- the devices on the board ---


class Header(PinBoard):
    """A board that nobody is connected to, and that remembers its edges."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self.made: list[tuple[int, bool]] = []

    def edges(self, pin, edges):
        self.made += [(pin, level) for level, _ in edges]
        super().edges(pin, edges)


async def test_a_tip_is_one_closure_with_bounces_at_either_edge():
    board = Header()
    gauge = RainGauge("rain-1", board, random.Random(1), pin=17)
    await gauge.tip()
    assert [level for _, level in board.made] == [True, False, True, False, True, False, True]
    [emission] = gauge.emitted
    assert (emission.kind, emission.value, emission.unit) == (Kind.COUNT, 0.2794, "mm")


def test_a_press_ends_low_and_a_release_ends_high():
    board = Header()
    button = Button("panic-1", board, random.Random(1), pin=27)
    button.press()
    assert board.made[-1] == (27, False)
    button.release()
    assert board.made[-1] == (27, True)
    assert [(emission.kind, emission.value) for emission in button.emitted] == [(Kind.STATE, True), (Kind.STATE, False)]


async def test_a_siren_remembers_what_it_was_told_and_goes_quiet_with_its_agent(board, start):
    siren = Siren("siren-1", board, random.Random(1), pin=22)
    agent = await start()
    await claims(board)
    await agent.says()
    board.set(17, False)
    await until(lambda: siren.on)
    await agent.kill()
    await until(lambda: not siren.on)
    assert [emission.value for emission in siren.emitted] == [True, False]
