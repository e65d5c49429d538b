"""A mosquitto for each file of system tests, and a gateway on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.brokers import Mosquitto, mosquitto  # noqa: F401 - a fixture
from tests.system.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def gateway(broker: Mosquitto) -> AsyncIterator[Gateway]:
    async with Gateway(broker.url) as gateway:
        yield gateway
