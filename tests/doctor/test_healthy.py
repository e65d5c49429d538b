"""Nothing is wrong with a healthy gateway, and nothing is looked at in vain."""

from agent.doctor.examine import ON_A_CARD, examine, safe
from agent.doctor.finding import Severity, exit_status

# What a tree without a running agent, an eMMC or a broker cannot tell.
UNKNOWN = {"power.since_boot", "card.wear", "clock.faults", "clock.drift", "agent.troubles"}


def test_a_healthy_gateway_is_fine(tree, mosquitto):
    tree.uplink(mosquitto().url)
    found = list(examine(tree.site()))
    assert [(one.name, one.what) for one in found if one.severity not in {Severity.FINE, Severity.UNKNOWN}] == []
    assert {one.name for one in found if one.severity is Severity.UNKNOWN} == UNKNOWN
    assert safe(found) == []
    assert exit_status(found) == 0


def test_its_card_is_fine_in_a_laptop(tree):
    found = list(examine(tree.card()))
    assert [(one.name, one.what) for one in found if one.severity is not Severity.FINE] == []
    assert {one.name for one in found} == set(ON_A_CARD)


def test_of_the_boot_partition_alone_only_its_files_are_looked_at(tree):
    found = {one.name: one for one in examine(tree.card("boot/firmware"))}
    assert found["serial.console"].severity is Severity.FINE
    assert found["systemd.unit"].severity is Severity.UNKNOWN
    assert "name it with --card, too" in found["systemd.unit"].what


def test_two_partitions_are_one_card(tree):
    (tree.root / "boot/firmware").rename(tree.root.parent / "bootfs")
    found = list(examine(tree.card("../bootfs", "")))
    assert [(one.name, one.what) for one in found if one.severity is not Severity.FINE] == []


def test_every_finding_has_a_name_and_says_why_it_matters(tree):
    found = list(examine(tree.site()))
    assert all(one.why and one.what and one.name.count(".") == 1 for one in found)
