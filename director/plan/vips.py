"""Which instance gets which of the vip addresses its group names; they bind nobody to an AZ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from director.model.errors import NetworkError
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.plan.candidates import Choice, Slot
from director.plan.networks import AddressBook, locate


def with_vips(
    resolved: ResolvedDeployment, group: ResolvedGroup, choice: Choice, book: AddressBook
) -> Choice:
    """Return the choice with an address for each place on every vip network that names some.

    Whoever has one of them keeps it; the others get what is left, in the order of the manifest.
    Raises NetworkError for one that somebody else has.
    """
    slots = list(choice.slots)
    for n, (use, network) in enumerate(group.networks):
        if network.type != "vip" or not use.static_ips:
            continue
        kept = _kept(slots, network.name, use.static_ips, book)
        free = []
        for k, ip in enumerate(use.static_ips):
            if ip in kept.values():
                continue
            holder = book.holder(ip)
            if holder is not None:
                raise NetworkError(
                    f"vip address '{ip}' of instance group '{group.name}' is in use by "
                    f"'{book.name_of(holder)}'",
                    where=locate(resolved.sources, (*group.path, "networks", n, "static_ips", k)),
                    fix="use another address, or delete what uses it in a deploy of its own first",
                )
            free.append(ip)
        for place, slot in enumerate(slots):
            ip = kept[place] if place in kept else free.pop(0)
            slots[place] = replace(slot, static_ips=(*slot.static_ips, (network.name, ip)))
    return replace(choice, slots=tuple(slots))


def _kept(
    slots: Sequence[Slot], network: str, listed: Sequence[str], book: AddressBook
) -> Mapping[int, str]:
    """Return which places have an instance with a listed address, and that address."""
    kept: dict[int, str] = {}
    for place, slot in enumerate(slots):
        held = book.held(slot.candidate.recorded.id, network) if slot.candidate else ()
        mine = [ip for ip in held if ip in listed and ip not in kept.values()]
        if mine:
            kept[place] = mine[0]
    return kept
