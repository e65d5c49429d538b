"""Images and releases, made once."""

import pytest

from agent.flashing.card import Order
from tests.flashing import images


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with an image, what of it is used, and a release of each generation, and a configuration."""
    if missing := images.why_no_tools():
        pytest.skip(f"not installed: {missing}")
    folder = tmp_path_factory.mktemp("images")
    for generation in ("bookworm", "trixie"):
        images.map_blocks(images.image(folder / generation, generation).rename(folder / f"{generation}.img"))
        images.release(folder / f"{generation}.release", f"{generation}-aarch64")
    (folder / "pkt-0042.toml").write_text(images.CONFIGURATION)
    return folder


@pytest.fixture
def order(made):
    """What a card is to be; what is given stands in place of the usual."""

    def order(generation="bookworm", **other):
        usual = {
            "gateway": "pkt-0042",
            "image": made / f"{generation}.img",
            "bundle": made / f"{generation}.release",
            "configuration": made / "pkt-0042.toml",
        }
        return Order(**usual | other)

    return order
