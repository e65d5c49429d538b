"""The label: what stands on it, and that it can be drawn."""

import shutil
from xml.etree import ElementTree as ET

import pytest

from agent.config.model import Gateway, Labels
from agent.flashing.label import HEIGHT, WIDTH, draw, made, why_not

SVG = "{http://www.w3.org/2000/svg}"
GATEWAY = Gateway(id="pkt-0042", label=Labels(en="Karon <Beach> & tower 3", th="หาดกะรน หอไลฟ์การ์ด 3"))


def texts_of(gateway):
    return list(ET.fromstring(draw(gateway)).iter(f"{SVG}text"))  # noqa: S314 - made by ourselves


def test_the_id_with_its_check_character_and_the_place_in_both_languages_stand_on_it():
    texts = [one.text for one in texts_of(GATEWAY)]
    assert texts == ["pkt-0042-G", "หาดกะรน หอไลฟ์การ์ด 3", "Karon <Beach> & tower 3"]


def test_a_gateway_without_a_place_has_its_id_alone():
    assert len(texts_of(Gateway(id="pkt-0042"))) == 1


def test_a_long_name_is_set_smaller():
    long = Gateway(id="pkt-0042", label=Labels(en="x" * 80, th="ก" * 80))
    sizes = [float(one.get("font-size")) for one in texts_of(long)]
    assert sizes[0] > 3 > sizes[1]


def test_it_is_the_same_every_time():
    assert draw(GATEWAY) == draw(GATEWAY)


def test_another_kind_of_file_is_refused_before_anything_is_written(tmp_path):
    assert "a label is an .svg, a .pdf or a .png" in why_not(tmp_path / "label.jpg")
    assert why_not(tmp_path / "label.svg") == ""
    assert "no: there is no such folder" in why_not(tmp_path / "no/label.svg")


@pytest.mark.skipif(shutil.which("rsvg-convert") is None, reason="rsvg-convert is not installed")
@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_it_can_be_had_as_a_picture_and_for_printing(tmp_path, ending, magic):
    assert made(GATEWAY, tmp_path / f"label{ending}").startswith(magic)
    assert WIDTH > HEIGHT
