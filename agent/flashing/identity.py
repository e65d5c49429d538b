"""The check character of a gateway's id: what a person copies from a label is found wrong if it is.

ISO/IEC 7064, MOD 37,36: it finds every single wrong character, and of two neighbours that have changed places all but
one pair in 600. Hyphens do not count, so `pkt-0042` and `pkt0042` have the same one.
"""

from __future__ import annotations

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MODULUS = len(CHARACTERS)


def check_character(gateway: str) -> str:
    """Return the check character of an id of letters, digits and hyphens; raises ValueError."""
    product = MODULUS
    for character in gateway.upper().replace("-", ""):
        total = (product + CHARACTERS.index(character)) % MODULUS or MODULUS
        product = total * 2 % (MODULUS + 1)
    return CHARACTERS[(MODULUS + 1 - product) % MODULUS]


def with_check(gateway: str) -> str:
    """Return an id as it stands on a label, such as `pkt-0042-X`."""
    return f"{gateway}-{check_character(gateway)}"


def without_check(text: str) -> str:
    """Return the id that was copied from a label; raises ValueError if it was copied wrongly."""
    gateway, _, check = text.strip().rpartition("-")
    if not gateway or check.upper() != check_character(gateway):
        raise ValueError(text)
    return gateway.lower()
