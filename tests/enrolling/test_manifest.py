import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrolling.manifest import COLUMNS, ManifestError, read_manifest

NOW = 1_795_000_000.0
CONFIGURATION = """\
[gateway]
id = "{gateway}"

[uplinks.city]
url = "mqtt://127.0.0.1:1883"

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"
"""


@pytest.fixture
def listed(tmp_path):
    """Write a list, and a good configuration for each of three gateways; return what is made of it."""
    for gateway in ("pkt-0001", "pkt-0002", "pkt-0003"):
        (tmp_path / f"{gateway}.toml").write_text(CONFIGURATION.format(gateway=gateway))

    def listed(text):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "fleet.csv").write_bytes(data)
        return read_manifest(tmp_path / "fleet.csv", NOW)

    return listed


def problems(listed, text):
    """Return what is wrong, without the folder."""
    with pytest.raises(ManifestError) as caught:
        listed(text)
    return [one.rpartition("fleet.csv:")[2] if "fleet.csv:" in one else one for one in caught.value.problems]


def test_a_list_of_ids_is_enough(listed, tmp_path):
    rows = listed("gateway\npkt-0001\npkt-0002\n")
    assert [(row.line, row.gateway, row.config) for row in rows] == [
        (2, "pkt-0001", tmp_path / "pkt-0001.toml"),
        (3, "pkt-0002", tmp_path / "pkt-0002.toml"),
    ]


def test_a_list_as_a_spreadsheet_writes_it_is_read(listed):
    text = b"\xef\xbb\xbfSerial,Gateway\r\n10000000A3B1C2D4,pkt-0001\r\n,\r\n\r\n,pkt-0002\r\n"
    rows = listed(text)
    assert [(row.gateway, row.serial) for row in rows] == [("pkt-0001", "10000000a3b1c2d4"), ("pkt-0002", "")]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheet_of_a_country_that_writes_commas_into_numbers_is_read_too(listed, separator):
    rows = listed("gateway,serial\npkt-0001,10000000a3b1c2d4\n".replace(",", separator))
    assert [(row.gateway, row.serial) for row in rows] == [("pkt-0001", "10000000a3b1c2d4")]


def test_thai_in_the_encoding_of_an_old_spreadsheet_is_told_with_its_line(listed):
    text = "gateway,config\npkt-0001,\npkt-0002,กะรน.toml\n".encode("cp874")
    assert problems(listed, text) == ["3: is not UTF-8 text; save it as UTF-8"]


def test_every_mistake_is_told_with_its_line_before_anything_is_done(listed, tmp_path):
    (tmp_path / "wrong.toml").write_text(CONFIGURATION.format(gateway="pkt-0003").replace("plantower", "plantwoer"))
    text = """\
gateway,config,serial
pkt-0001,,10000000a3b1c2d4
PKT 2,,
pkt-0002,pkt-0001.toml,10000000A3B1C2D4
pkt-0003,wrong.toml,
pkt-0001,,
pkt-0004,,
"""
    told = "\n".join(problems(listed, text))
    assert "6: gateway pkt-0001 stands in line 2 already" in told
    assert "4: serial 10000000a3b1c2d4 stands in line 2 already" in told
    assert "3: 'PKT 2' is no id" in told
    assert "pkt-0001.toml is the configuration of pkt-0001, not of pkt-0002" in told
    assert "wrong.toml:8: devices.air-1.driver" in told
    assert "pkt-0004.toml: there is no such file" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gateway,serial\npkt-0001,1E+15\n", "2: 1e+15 is no serial number of a Pi"),
        ("gateway,label\npkt-0001,a.doc\n", "a.doc: a label is an .svg, a .pdf or a .png"),
        ("gateway,label\npkt-0001,no/a.svg\n", "no: there is no such folder"),
        ("gateway,label\npkt-0001,a.svg\npkt-0002,a.svg\n", "a.svg stands in line 2 already"),
        ("gateway,network\npkt-0001,none.nmconnection\n", "none.nmconnection: No such file"),
        ("gateway,network\npkt-0001,pkt-0001.toml\n", "pkt-0001.toml: it is no connection profile"),
        ("", "the first line must name the columns"),
        ("pkt-0001\n", "the first line must name the columns"),
        ("gateway,cofnig\npkt-0001,x\n", "'cofnig' is no column"),
        ("gateway,gateway\npkt-0001,x\n", "'gateway' is no column, or is there twice"),
        ("gateway\n", "lists no gateway"),
        ("gateway\npkt-0001,more\n", "2: has more columns"),
        ('gateway\n"pkt-0001\n', "is no CSV"),
        (b"gateway\npkt-0001\n\xff\n", "3: is not UTF-8"),
    ],
)
def test_what_is_no_list_is_said_to_be_none(listed, text, said):
    assert said in "\n".join(problems(listed, text))


def test_a_claim_from_elsewhere_must_be_for_that_gateway(listed, workshop, tmp_path):
    (tmp_path / "a.claim").write_text(workshop.claim("pkt-0001") + "\n")
    (row,) = listed("gateway,claim\npkt-0001,a.claim\n")
    assert row.claim == tmp_path / "a.claim"
    told = "\n".join(problems(listed, "gateway,claim\npkt-0002,a.claim\npkt-0001,b.claim\n"))
    assert "is a claim for pkt-0001, not for pkt-0002" in told
    assert "b.claim: No such file" in told


@given(st.one_of(st.binary(max_size=200), st.lists(st.text(max_size=12), max_size=12).map(",".join).map(str.encode)))
def test_any_file_is_a_list_or_none(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for head in (b"", b",".join(name.encode() for name in COLUMNS) + b"\n"):
        path.write_bytes(head + data)
        with pytest.raises(ManifestError):
            read_manifest(path, NOW)
