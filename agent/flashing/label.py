"""The label that is glued to a gateway: its id with the check character, a QR code, and its place in both languages.

It is drawn as SVG, in which text stays text: whoever shows it has the letters. For PDF and PNG that is rsvg-convert
(Debian's librsvg2-bin), which sets Thai vowels and tone marks where they belong; libraries for Python that do come
with a text engine and a font of several MB.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from agent.flashing.identity import with_check
from agent.flashing.medium import FlashError
from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.model import Gateway

ENDINGS = (".svg", ".pdf", ".png")
WIDTH, HEIGHT = 62.0, 29.0  # mm; a size that label printers have
MARGIN, CODE, GAP = 4.0, 21.0, 2.0  # mm; a reader wants four modules of white around the code
FONTS = "'Noto Sans Thai','Noto Sans','Leelawadee UI','Thonburi','Garuda','Loma',sans-serif"
PREFIX = "roadside:"  # in the QR code, before the id: whoever scans it knows what it is
DPI = 300
LONGEST = 24  # letters of the place that fit in one line at full size


def why_not(path: Path) -> str:
    """Return why no label can be made there; empty if one can."""
    if path.suffix.lower() not in ENDINGS:
        return _("{path}: a label is an .svg, a .pdf or a .png").format(path=path)
    if path.suffix.lower() != ".svg" and shutil.which("rsvg-convert") is None:
        text = _("{path}: for this rsvg-convert is needed: sudo apt install librsvg2-bin; an .svg needs nothing")
        return text.format(path=path)
    try:
        import segno  # noqa: F401 - whether it is there
    except ImportError as error:
        return _('{error}: run pip install ".[flash]" -c constraints.txt in the checkout').format(error=error)
    if not path.parent.is_dir():
        return _("{path}: there is no such folder").format(path=path.parent)
    return ""


def made(gateway: Gateway, path: Path) -> bytes:
    """Return a label as what the ending of its file says; raises FlashError."""
    svg = draw(gateway).encode()
    if path.suffix.lower() == ".svg":
        return svg
    kind = path.suffix.lower().removeprefix(".")
    command = ["rsvg-convert", "--format", kind, "--dpi-x", str(DPI), "--dpi-y", str(DPI)]
    done = subprocess.run(command, input=svg, capture_output=True, check=False)
    if done.returncode:
        raise FlashError(f"rsvg-convert: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def draw(gateway: Gateway) -> str:
    """Return a label as SVG."""
    import segno

    code = segno.make_qr((PREFIX + with_check(gateway.id)).upper(), error="q")
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(code.matrix) for x, module in enumerate(row) if module)
    left = MARGIN + CODE + GAP
    room = WIDTH - left - GAP
    texts = [_text(with_check(gateway.id), left, 9.0, 5.0, room, "bold")]
    if gateway.label is not None:
        texts.append(_text(gateway.label.th, left, 17.0, 4.2, room))
        texts.append(_text(gateway.label.en, left, 23.0, 3.6, room))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}mm" height="{HEIGHT}mm" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{FONTS}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<path transform="translate({MARGIN} {MARGIN}) scale({CODE / len(code.matrix):.5f})" d="{dark}"/>'
        f"{''.join(texts)}</svg>\n"
    )


def _text(text: str, left: float, base: float, size: float, room: float, weight: str = "normal") -> str:
    """Return a line of text; a long one is set smaller, about as much as it is longer than there is room."""
    from agent.i18n import width

    size = min(size, room / max(1, width(text)) / 0.62)  # a letter is at most about so much of its size wide
    return f'<text x="{left}" y="{base}" font-size="{size:.2f}" font-weight="{weight}">{escape(text)}</text>'
