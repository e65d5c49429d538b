"""What the first start does with the claim on a card that `roadside fleet` made: nothing of it stays on the FAT."""

import importlib.util
import sys
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from agent.enrolling.enrolment import enrol
from agent.flashing.card import personalise, prepare
from agent.flashing.medium import Card
from tests.enrolling.gateways import identity_in
from tests.flashing import images
from tests.flashing.conftest import made, order  # noqa: F401 - fixtures

FIRST_BOOT = Path(__file__).parents[2] / "systemd/first-boot"


@pytest.fixture
def first_boot(monkeypatch):
    """The program of the first start, as a module."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("first_boot", str(FIRST_BOOT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("first_boot", loader))
    loader.exec_module(module)
    return module


def test_the_claim_leaves_the_boot_partition_and_enrols_the_gateway(order, first_boot, workshop, tmp_path):  # noqa: F811
    token = workshop.claim()
    plan = prepare(order(claim=token), datetime.now(UTC).timestamp())
    image = tmp_path / "card.img"
    image.write_bytes(plan.order.image.read_bytes())
    with Card(image) as medium:
        personalise(plan, medium, "", datetime.now(UTC))
    boot = images.taken_out(image, tmp_path / "boot")
    holding = [path for path in boot.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert [path.name for path in holding] == ["claim"]
    witness = tmp_path / "witness"
    witness.hardlink_to(holding[0])  # sees what is in the same blocks

    claim = tmp_path / "etc/claim"
    first_boot.move_secret(holding[0], claim)
    assert not holding[0].exists()
    assert witness.read_bytes() == bytes(len(token))
    assert claim.stat().st_mode & 0o777 == 0o600
    with workshop.serving():
        assert enrol(identity_in(tmp_path), claim.read_text())
