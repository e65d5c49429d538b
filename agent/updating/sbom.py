"""The parts of a release as a CycloneDX 1.6 document (cyclonedx.org/docs/1.6/json), from the wheels' own metadata."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agent.updating.debian import Deb

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

    from agent.updating.targets import Target

NAME = "sbom.cdx.json"


def describe(
    version: str, target: Target, wheels: Mapping[str, bytes], debs: Mapping[str, bytes], moment: int
) -> bytes:
    """Return the document for wheels and Debian packages by their file names, and for the packages a system has."""
    parts = [_wheel(data) for _, data in sorted(wheels.items())]
    brought = {Deb.named(name): data for name, data in debs.items()}
    parts += [_brought(deb, data, target) for deb, data in sorted(brought.items())]
    parts += [_package(name, target) for name in sorted(set(target.debian.values()) - {deb.name for deb in brought})]
    own = [part for part in parts if part["name"] == "roadside"]
    others = [part for part in parts if part["name"] != "roadside"]
    contents = hashlib.sha256(json.dumps([version, target, parts]).encode()).digest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{UUID(bytes=contents[:16], version=4)}",  # of the contents: the same parts, the same
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**own[0], "type": "application"} if own else {"type": "application", "name": "roadside"},
            "properties": [{"name": "roadside:target", "value": str(target)}],
        },
        "components": others,
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _wheel(data: bytes) -> dict[str, Any]:
    about = metadata(data)
    name, version = about["Name"], about["Version"]
    reference = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    part: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}],
    }
    if about["License-Expression"]:
        part["licenses"] = [{"expression": about["License-Expression"]}]
    elif about["License"] and "\n" not in about["License"]:
        part["licenses"] = [{"license": {"name": about["License"]}}]
    if about["Summary"]:
        part["description"] = about["Summary"]
    return part


def _package(name: str, target: Target) -> dict[str, Any]:
    reference = f"pkg:deb/debian/{name}?distro={target.generation}"  # which version: whatever the system has
    return {"type": "library", "bom-ref": reference, "name": name, "purl": reference}


def _brought(deb: Deb, data: bytes, target: Target) -> dict[str, Any]:
    reference = f"pkg:deb/debian/{deb.name}@{deb.version}?arch={deb.architecture}&distro={target.generation}"
    hashes = [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]
    about = {"name": deb.name, "version": deb.version, "purl": reference, "hashes": hashes}
    return {"type": "library", "bom-ref": reference, **about}


def metadata(wheel: bytes) -> Message:
    """Return a wheel's METADATA."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(
            name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
        )
        return HeaderParser().parsestr(archive.read(name).decode())
