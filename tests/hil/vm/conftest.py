"""One image for all these tests, a broker of each test's own, and machines that end with the test."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from hil.broker import Broker, Engine
from hil.city import City
from hil.debian import DebianError
from hil.link import Link
from hil.vm import image, machine
from hil.vm.architecture import AMD64, ARM64
from tests.hil.vm.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hil.vm.image import Image

ARCHITECTURES = {"vm": AMD64, "vm-arm64": ARM64}  # by the rig that is asked for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]) and "gateway" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.vm)


@pytest.fixture(scope="session")
def booted_from(request: pytest.FixtureRequest) -> Image:
    """The image; where there can be none, or nobody asked for it, the test is skipped, and says why."""
    architecture = ARCHITECTURES.get(request.config.getoption("--rig"))
    if architecture is None:
        pytest.skip("boots virtual machines, which takes minutes: make hil RIG=vm")
    if reason := machine.why_not(architecture) or image.why_not(architecture):
        pytest.skip(reason)
    try:
        return image.with_roadside(architecture=architecture)
    except DebianError as error:
        pytest.skip(f"no image to be had: {error}")


@pytest.fixture
async def gateway(booted_from: Image) -> AsyncIterator[Any]:
    """Makes a gateway in a virtual machine, with the tables of its configuration and what `Machine` takes."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(Engine.MOSQUITTO))  # iotcore dies of some breaks
        link = await stack.enter_async_context(Link(broker.port))
        city = await stack.enter_async_context(City(broker.url))

        async def make(devices: str, **more: Any) -> Gateway:
            return await stack.enter_async_context(Gateway(booted_from, link, city, devices, **more))

        yield make
