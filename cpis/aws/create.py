"""Creating a VM: launch it once, wait, give it what RunInstances cannot; or leave nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from cpis.aws import addresses, instances
from cpis.aws.boto import join_balancers
from cpis.aws.ec2 import Ec2, text
from cpis.aws.errors import CAPACITY, NO_SPOT, code_of
from cpis.aws.launch import Interface, interfaces, launch_request
from cpis.aws.lookups import root_device, with_group_ids
from cpis.aws.properties import VmProperties, read_vm
from cpis.aws.sizes import require_own_storage, sizes_of
from cpis.aws.tags import client_token
from cpis.contract import CloudError, Json, Networks, VmCreationFailed
from cpis.libcloud_base.user_data import host_name, user_data
from director.model.ids import AgentId, VmCid

_TRIES = 10
_IN_USE = "InvalidIPAddress.InUse"
_MAY_PASS = {*CAPACITY, _IN_USE}


def create_vm(
    ec2: Ec2,
    balancers: Callable[[str], Any],
    *,
    agent_id: AgentId,
    ami: str,
    cloud_properties: Json,
    networks: Networks,
    env: Json,
) -> tuple[VmCid, Networks]:
    """Create a VM, wait until it runs, and return it with its networks' addresses.

    Called again with the agent id it returns the same VM. Raises VmCreationFailed, and leaves
    nothing; ``ok_to_retry`` where the reason may pass.
    """
    try:
        vm = read_vm(ec2.settings, cloud_properties)
        if vm.ephemeral_disk is None:
            require_own_storage(vm.instance_type, sizes_of(ec2.settings.region))
        wanted, elastic = interfaces(ec2.settings, vm, networks)
        wanted = with_group_ids(ec2, wanted)
        elastic_ips = tuple(addresses.elastic_ip(ec2, ip) for ip in elastic)
        name = host_name(agent_id)
        request = launch_request(
            ec2.settings,
            vm,
            agent_id=agent_id,
            name=name,
            ami=ami,
            root_device=root_device(ec2, ami) if vm.root_disk else None,
            interfaces=wanted,
            user_data=user_data(hostname=name, env=env),
        )
        instance = _launched(ec2, agent_id, request, wanted, fallback=vm.spot_ondemand_fallback)
    except CloudError as error:
        raise _failed(error) from error
    cid = VmCid(text(instance, "instanceId"))
    ec2.recent.note(cid)
    instance = _finished(ec2, balancers, cid, vm=vm, elastic_ips=elastic_ips)
    ec2.known.zones[cid] = text(instance, "placement/availabilityZone")
    return cid, _given(instance, networks, wanted, elastic)


def _launched(
    ec2: Ec2,
    agent_id: AgentId,
    request: dict[str, Any],
    wanted: tuple[Interface, ...],
    *,
    fallback: bool,
) -> Element:
    """Launch, and once more when an address belonged to a VM that was on its way out."""
    try:
        return _launch(ec2, agent_id, request, fallback=fallback)
    except CloudError as error:
        if code_of(error) != _IN_USE:
            raise
        given = [(one.subnet, one.ip) for one in wanted if one.ip is not None]
        if not any(instances.await_end_at(ec2, subnet, ip) for subnet, ip in given):
            raise
    return _launch(ec2, agent_id, request, fallback=fallback)


def _launch(ec2: Ec2, agent_id: AgentId, request: dict[str, Any], *, fallback: bool) -> Element:
    if not request["InstanceMarketOptions"] or not fallback:
        return _run(ec2, agent_id, request)
    # Two requests with a token each: what the second one made, the first one would make again.
    there = instances.find(ec2, agent_id)
    if there is not None:
        return there
    try:
        return _run(ec2, agent_id, request)
    except CloudError as error:
        if code_of(error) not in NO_SPOT:
            raise
    return _run(ec2, agent_id, {**request, "InstanceMarketOptions": {}}, kind="on-demand")


def _run(ec2: Ec2, agent_id: AgentId, request: dict[str, Any], *, kind: str = "") -> Element:
    """Run one instance, or return the one this agent id has: AWS keeps the client token.

    A token whose instance was ended is used up, so there is a row of them.
    """
    for n in range(_TRIES):
        try:
            answer = ec2.ask(
                "RunInstances",
                {**request, "ClientToken": client_token(agent_id, kind, str(n))},
            )
        except CloudError as error:
            code = code_of(error)
            if code == "IdempotentParameterMismatch":
                # Asked for before with other properties: that VM is this agent's all the same.
                there = instances.find(ec2, agent_id)
                if there is not None:
                    return there
            elif code != "IdempotentInstanceTerminated":
                raise
            continue
        instance = answer.find("instancesSet/item")
        if instance is None:
            raise CloudError("AWS answered RunInstances without an instance", ok_to_retry=True)
        if instances.state(instance) not in instances.GONE:
            return instance
    raise CloudError(f"the VM of the agent '{agent_id}' was ended {_TRIES} times by now")


def _finished(
    ec2: Ec2,
    balancers: Callable[[str], Any],
    cid: VmCid,
    *,
    vm: VmProperties,
    elastic_ips: tuple[addresses.ElasticIp, ...],
) -> Element:
    routes: list[dict[str, str]] = []
    try:
        instance = instances.wait_until_running(ec2, cid)
        cards = _cards(instance)
        if not vm.source_dest_check:
            for card in cards:
                asked = {"NetworkInterfaceId": card, "SourceDestCheck": {"Value": False}}
                ec2.ask("ModifyNetworkInterfaceAttribute", asked)
        for elastic_ip in elastic_ips:
            addresses.associate(ec2, elastic_ip, cards[0], cid)
        for route in vm.advertised_routes:
            made = addresses.advertise(ec2, route, cards[0])
            routes += [] if made is None else [made]
        join_balancers(balancers, cid, elbs=vm.elbs, target_groups=vm.lb_target_groups)
    except Exception as error:
        left = _undo(ec2, cid, routes)
        if isinstance(error, CloudError):
            raise _failed(error, left) from error
        raise
    return instance


def _undo(ec2: Ec2, cid: VmCid, routes: list[dict[str, str]]) -> str:
    """End a VM that could not be finished; returns what is left, for people."""
    try:
        addresses.withdraw(ec2, routes)
        instances.terminate(ec2, cid)
    except CloudError as error:
        return f"; the VM '{cid}' is left, because {error.what}"
    return ""


def _failed(error: CloudError, left: str = "") -> VmCreationFailed:
    may_pass = error.ok_to_retry or code_of(error) in _MAY_PASS
    return VmCreationFailed(error.what + left, ok_to_retry=may_pass, fix=error.fix)


def _cards(instance: Element) -> list[str]:
    """Return the ids of an instance's interfaces, the first one first."""
    return [text(card, "networkInterfaceId") for card in _interfaces(instance)]


def _interfaces(instance: Element) -> list[Element]:
    cards = list(instance.iterfind("networkInterfaceSet/item"))
    return sorted(cards, key=lambda card: int(text(card, "attachment/deviceIndex") or 0))


def _given(
    instance: Element,
    networks: Networks,
    wanted: tuple[Interface, ...],
    elastic: tuple[str, ...],
) -> Networks:
    """Return the networks with their addresses filled in; ``public_ip`` where there is one."""
    given = {name: dict(network) for name, network in networks.items()}
    for one, card in zip(wanted, _interfaces(instance), strict=False):
        given[one.network]["ip"] = text(card, "privateIpAddress") or one.ip
    public = elastic[0] if elastic else text(instance, "ipAddress")
    if public:
        given[wanted[0].network]["public_ip"] = public
    return given
