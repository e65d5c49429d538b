"""How a test of a gateway ends: the agent is well, says so, stops in order, and has lost nothing beyond the promise."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.audit import Account
    from hil.emissions import Emission
    from hil.rigs.base import Rig


def unwell(health: dict[str, Any]) -> list[str]:
    """Return all that is wrong by what a gateway says of its own health."""
    if not health:
        return ["it has never said how it is"]
    devices = {f"device {name}": one["state"] for name, one in health["devices"].items() if one["state"] != "ok"}
    uplinks = {f"uplink {name}": one["fault"] for name, one in health["uplinks"].items() if one["fault"]}
    journal = {f"journal {name}": fault for name, fault in health["journal"]["faults"].items()}
    return [f"{name}: {what}" for name, what in (devices | uplinks | journal).items()]


async def ends_well(rig: Rig) -> Account:
    """Wait until the agent is well and everything is accounted for, stop it, and return the account.

    What a power cut may have taken is no loss; nothing else may be missing. Raises AssertionError.
    """
    await rig.until(lambda: not unwell(rig.city.health()))
    await rig.quiet()

    with suppress(AssertionError):  # the verdict below says more
        await rig.until(lambda: not trouble(rig, rig.account()))
    await rig.agent.stop()
    account = rig.account()
    log = await rig.agent.says()
    assert not trouble(rig, account), f"{account}: {trouble(rig, account)}"  # noqa: S101 - a test's verdict
    assert account.received, "nothing has arrived at all"  # noqa: S101
    assert not rig.city.judge.faults, rig.city.judge.faults  # noqa: S101
    assert "Traceback" not in log, log  # noqa: S101
    return account


def trouble(rig: Rig, account: Account) -> list[object]:
    """Return what in an account is beyond the promise."""
    return [*beyond(rig, account.lost), *account.doubled, *account.misdated]


def beyond(rig: Rig, lost: Sequence[Emission]) -> list[Emission]:
    """Return what was lost and not within the declared window before a power cut."""
    window = rig.description.agent.loses
    return [one for one in lost if not any(cut - window <= one.at <= cut for cut in rig.power.cuts)]
