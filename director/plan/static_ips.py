"""Which instance gets which static address, and which AZ that puts it in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from director.model.configs import Network
from director.model.errors import NetworkError
from director.model.manifest import NetworkUse
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.model.source import Source
from director.plan.balance import az_order, keep_ignored, left_over
from director.plan.candidates import Candidate, Choice, Slot
from director.plan.networks import AddressBook, locate

Azs = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """One network's static addresses: where each may be used, and where they stand in the file."""

    network: str
    where: Source | None
    places: Mapping[str, Source | None]
    azs: dict[str, Azs]


@dataclass(slots=True, kw_only=True)
class _Place:
    """A slot being filled."""

    candidate: Candidate | None
    az: str | None
    ips: dict[str, str]


def has_static_ips(group: ResolvedGroup) -> bool:
    """Return whether the group asks for static addresses on any network whose subnets have AZs."""
    return any(_binds(use, network) for use, network in group.networks)


def _binds(use: NetworkUse, network: Network) -> bool:
    return bool(use.static_ips) and network.type != "vip"


def place_by_address(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    found: Sequence[Candidate],
    book: AddressBook,
) -> Choice:
    """Choose the instances of a group with static addresses, and an address for each.

    Whoever has a listed address keeps it. The others share what is left evenly over the AZs of the
    addresses' subnets; an instance for whose AZ none is left goes. Raises NetworkError.
    """
    listed = [
        _listed(resolved, group, n, use, book)
        for n, (use, network) in enumerate(group.networks)
        if _binds(use, network)
    ]
    # The least flexible network decides how many instances an AZ gets; the others follow.
    listed.sort(key=lambda one: sum(len(azs) for azs in one.azs.values()))
    fixed = {c.recorded.id for c in keep_ignored(resolved, group, found)}
    ranked = sorted(found, key=lambda c: (c.recorded.id not in fixed, not c.has_disk, c.expendable))
    places = _holders(group, ranked, listed, book)
    placed = {p.candidate.recorded.id for p in places if p.candidate is not None}
    spare = [c for c in ranked if c.recorded.id not in placed]
    for one in listed:
        _refuse_taken(group, one, places, book)
    places += _fill(resolved, group, listed, places, spare)
    for one in listed:
        _hand_out(group, one, places)
    slots = [Slot(p.candidate, p.az, tuple(p.ips.items())) for p in places]
    return Choice(tuple(slots), left_over(found, slots))


def _listed(
    resolved: ResolvedDeployment, group: ResolvedGroup, n: int, use: NetworkUse, book: AddressBook
) -> _Listed:
    where = locate(resolved.sources, (*group.path, "networks", n, "static_ips"))
    wanted: Azs = group.azs or (None,)
    azs: dict[str, Azs] = {}
    places: dict[str, Source | None] = {}
    for k, ip in enumerate(use.static_ips):
        here = locate(resolved.sources, (*group.path, "networks", n, "static_ips", k)) or where
        places[ip] = here
        subnet_azs = book.static_azs(use.name, ip, where=here)
        usable = wanted
        if subnet_azs and group.azs:
            usable = tuple(az for az in wanted if az in subnet_azs)
        if not usable:
            raise NetworkError(
                f"static IP '{ip}' belongs to AZ {_names(subnet_azs)}, and instance group "
                f"'{group.name}' uses {_names(group.azs)}",
                where=here,
                fix="use addresses of subnets in the group's 'azs'",
            )
        azs[ip] = usable
    return _Listed(network=use.name, where=where, places=places, azs=azs)


def _holders(
    group: ResolvedGroup,
    ranked: Sequence[Candidate],
    listed: Sequence[_Listed],
    book: AddressBook,
) -> list[_Place]:
    """Return the places of those who already have a listed address."""
    places: list[_Place] = []
    given: set[str] = set()
    for candidate in ranked:
        ips: dict[str, str] = {}
        for one in listed:
            for ip in book.held(candidate.recorded.id, one.network):
                if ip in one.azs and ip not in given and one.network not in ips:
                    _refuse_moved(candidate, one, ip)
                    ips[one.network] = ip
                    given.add(ip)
        if (ips or candidate.recorded.ignore) and len(places) < group.instances:
            places.append(_Place(candidate=candidate, az=candidate.az, ips=ips))
    return places


def _refuse_moved(candidate: Candidate, one: _Listed, ip: str) -> None:
    if candidate.az not in one.azs[ip]:
        raise NetworkError(
            f"static IP '{ip}' is held by '{candidate.recorded.name}' in AZ '{candidate.az}', and "
            f"its subnet is now in AZ {_names(one.azs[ip])}",
            where=one.where,
            fix="put the subnet's AZ back, or replace the address in one deploy and use it again "
            "in the next",
        )


def _refuse_taken(
    group: ResolvedGroup, one: _Listed, places: Sequence[_Place], book: AddressBook
) -> None:
    ours = {p.ips[one.network] for p in places if one.network in p.ips}
    for ip in one.azs:
        holder = book.holder(ip)
        if holder is not None and ip not in ours:
            raise NetworkError(
                f"static IP '{ip}' of instance group '{group.name}' is in use by "
                f"'{book.name_of(holder)}'",
                where=one.places[ip],
                fix="use another address, or delete what uses it in a deploy of its own first "
                "(a renamed group keeps its addresses with 'migrated_from')",
            )


def _fill(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    listed: Sequence[_Listed],
    places: Sequence[_Place],
    spare: Sequence[Candidate],
) -> list[_Place]:
    """Return the places still missing, in AZs for which the first network has addresses left."""
    missing = group.instances - len(places)
    if missing <= 0:
        return []
    first = listed[0]
    left = _left(first, places)
    bound = Counter(p.az for p in places if first.network not in p.ips)
    azs = az_order(resolved, group)
    by_az: dict[str | None, list[Candidate]] = {az: [] for az in azs}
    for one in spare:
        if one.az in by_az:
            by_az[one.az].append(one)
    crowd = Counter(p.az for p in places)
    rank = {az: n for n, az in enumerate(azs)}
    filled: list[_Place] = []
    for ip in _distribute(first, left, bound, group)[1]:
        az = min(left[ip], key=lambda az: (crowd[az], not by_az[az], rank[az]))
        crowd[az] += 1
        candidate = by_az[az].pop(0) if by_az[az] else None
        filled.append(_Place(candidate=candidate, az=az, ips={first.network: ip}))
        if len(filled) == missing:
            break
    if len(filled) < missing:
        raise _too_few(group, first)
    return filled


def _hand_out(group: ResolvedGroup, one: _Listed, places: Sequence[_Place]) -> None:
    """Give each place that has no address on the network yet one of its AZ's."""
    lacking = [p for p in places if one.network not in p.ips]
    left = _left(one, places)
    given, _ = _distribute(one, left, Counter(p.az for p in lacking), group)
    for place in lacking:
        place.ips[one.network] = given[place.az].pop(0)


def _left(one: _Listed, places: Sequence[_Place]) -> dict[str, Azs]:
    used = {p.ips[one.network] for p in places if one.network in p.ips}
    return {ip: azs for ip, azs in one.azs.items() if ip not in used}


def _distribute(
    one: _Listed, left: Mapping[str, Azs], needs: Counter[str | None], group: ResolvedGroup
) -> tuple[dict[str | None, list[str]], list[str]]:
    """Return addresses for exactly ``needs``, by AZ, and the ones not needed, least flexible first.

    An address already handed to an AZ moves to another if that frees it for one that has no other
    choice (an augmenting path over AZs, of which there are few).
    """
    given: dict[str | None, list[str]] = {az: [] for az in needs}
    order = sorted(left, key=lambda ip: len(left[ip]))
    rest: list[str] = []
    for ip in order:
        path = _path_to_need(ip, left, needs, given)
        if path is None:
            rest.append(ip)
            continue
        moving = ip
        for az, displaced in path:
            given[az].append(moving)
            if displaced is not None:
                given[az].remove(displaced)
                moving = displaced
    if any(len(given[az]) < count for az, count in needs.items()):
        raise _too_few(group, one)
    places = {ip: n for n, ip in enumerate(left)}
    for ips in given.values():
        ips.sort(key=places.__getitem__)
    return given, rest


def _path_to_need(
    ip: str,
    left: Mapping[str, Azs],
    needs: Counter[str | None],
    given: Mapping[str | None, list[str]],
) -> list[tuple[str | None, str | None]] | None:
    """Return where to put ``ip``: pairs of an AZ and the address that leaves it for the next."""
    came: dict[str | None, tuple[str | None, str] | None] = {}
    queue = [az for az in left[ip] if az in needs]
    came.update(dict.fromkeys(queue))
    for az in queue:
        if len(given[az]) < needs[az]:
            steps: list[tuple[str | None, str | None]] = [(az, None)]
            while (back := came[steps[0][0]]) is not None:
                steps.insert(0, back)
            return steps
        for placed in given[az]:
            if len(left[placed]) > 1:
                for other in left[placed]:
                    if other in needs and other not in came:
                        came[other] = (az, placed)
                        queue.append(other)
    return None


def _too_few(group: ResolvedGroup, one: _Listed) -> NetworkError:
    count = Counter(_names(azs) for azs in one.azs.values())
    spread = ", ".join(f"{n} in {azs}" for azs, n in count.items())
    return NetworkError(
        f"the static IPs of network '{one.network}' do not fit the AZs of the instances of group "
        f"'{group.name}': there are {spread}",
        where=one.where,
        fix="list as many addresses for an AZ as it has instances, on every network",
    )


def _names(azs: Sequence[str | None]) -> str:
    return " or ".join(f"'{az}'" for az in azs if az is not None) or "none"
