"""Keys, made once, and a gateway that trusts them."""

import pytest

from agent.updating import signing
from tests.updating.releases import SIGNED


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder of keys."""
    folder = tmp_path_factory.mktemp("keys")
    signing.make_keys(folder, signing.moment_of(SIGNED))
    return folder
