"""Connection profiles: what is put on a card connects without anybody there to be asked."""

import pytest

from agent.flashing.medium import FlashError
from agent.flashing.network import profiles
from tests.flashing import images
from tests.flashing.test_card import flash

WIFI = """\
[connection]
id=karon
type=wifi

[wifi]
ssid=Karon poles

[wifi-security]
key-mgmt=wpa-psk
psk=hidden from the street
"""
CABLE = "[connection]\nid=cable\ntype=ethernet\n\n[ipv4]\nmethod=manual\naddress1=10.1.2.42/24,10.1.2.1\n"


@pytest.fixture
def written(tmp_path):
    def written(text, name="karon.nmconnection"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


@pytest.mark.parametrize("generation", ["bookworm", "trixie"])
def test_it_goes_where_the_first_start_takes_it_from_and_the_kernel_is_told_the_country(
    order, written, tmp_path, generation
):
    networks = [written(WIFI), written(CABLE, "cable")]
    flash(order(generation, networks=networks, country="TH"), tmp_path / "card")
    boot = images.taken_out(tmp_path / "card", tmp_path / "boot")
    assert (boot / "roadside/network/karon.nmconnection").read_text() == WIFI
    assert (boot / "roadside/network/cable.nmconnection").read_text() == CABLE
    assert (boot / "cmdline.txt").read_text().split().count("cfg80211.ieee80211_regdom=TH") == 1
    # The first start takes the folder away; what stays on the partition holds no secret.
    holding = {path.parent.name for path in boot.rglob("*") if path.is_file() and b"hidden" in path.read_bytes()}
    assert holding == {"network"}
    assert "errors" not in images.judged(tmp_path / "card")


def test_a_cable_needs_no_country(written):
    assert profiles([written(CABLE)], "") == {"network/karon.nmconnection": CABLE.encode()}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("type=wifi\n", "", "no connection profile"),
        ("[connection]", "", "no connection profile"),
        ("id=karon", "id=karon\npermissions=user:me:;", "for a user who is not on the gateway"),
        ("id=karon", "id=karon\nautoconnect=false", "nobody is there"),
        ("id=karon", "id=karon\ninterface-name=wlp3s0", "is wlan0"),
        ("psk=hidden from the street", "psk-flags=1", "psk-flags=: the password is not in this file"),
        ("psk=hidden from the street", "", "there is no psk="),
        ("ssid=Karon poles", "", "there is no ssid="),
    ],
)
def test_what_would_not_connect_is_refused_and_says_why(written, before, after, said):
    with pytest.raises(FlashError, match=said):
        profiles([written(WIFI.replace(before, after))], "TH")


def test_wifi_without_a_country_is_refused(written):
    with pytest.raises(FlashError, match="--country"):
        profiles([written(WIFI)], "")


@pytest.mark.parametrize("country", ["Thailand", "th", "T1"])
def test_what_is_no_country_is_refused(country):
    with pytest.raises(FlashError, match="no country"):
        profiles([], country)


def test_two_of_one_name_and_a_name_that_leads_elsewhere_are_refused(written):
    with pytest.raises(FlashError, match="name it otherwise"):
        profiles([written(CABLE), written(CABLE, "karon")], "")
    with pytest.raises(FlashError, match="name it otherwise"):
        profiles([written(CABLE, "..nmconnection")], "")
