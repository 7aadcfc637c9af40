"""Elastic IPs of vip networks, and routes through a VM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cpis.aws.ec2 import Ec2, text
from cpis.aws.errors import code_of
from cpis.contract import CloudError
from director.model.ids import VmCid


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticIp:
    """An address of the account; ``holder`` is the instance that has it, or empty."""

    ip: str
    allocation_id: str
    holder: str


def elastic_ip(ec2: Ec2, ip: str) -> ElasticIp:
    """Return the account's Elastic IP; raises CloudError where it has no such address."""
    try:
        found = next(ec2.items("DescribeAddresses", {"PublicIp": [ip]}, "addressesSet/item"), None)
    except CloudError as error:
        if code_of(error) != "InvalidAddress.NotFound":
            raise
        found = None
    if found is None or not text(found, "allocationId"):
        raise CloudError(
            f"the account has no Elastic IP {ip} in {ec2.settings.region}",
            fix="allocate an Elastic IP, and give the vip network that address",
        )
    # An address may be held by a bare interface too: that one is not ours either.
    holder = text(found, "instanceId") or text(found, "networkInterfaceId")
    return ElasticIp(ip=ip, allocation_id=text(found, "allocationId"), holder=holder)


def associate(ec2: Ec2, address: ElasticIp, interface: str, cid: VmCid) -> None:
    """Give a running VM an Elastic IP. May be called again; takes it from nobody else."""
    if address.holder in (cid, interface):
        return
    asked = {
        "AllocationId": address.allocation_id,
        "NetworkInterfaceId": interface,
        "AllowReassociation": False,
    }
    try:
        ec2.ask("AssociateAddress", asked)
    except CloudError as error:
        if code_of(error) != "Resource.AlreadyAssociated":
            raise
        holder = elastic_ip(ec2, address.ip).holder
        if holder not in (cid, interface):
            raise CloudError(
                f"the Elastic IP {address.ip} belongs to '{holder}'",
                fix="disassociate it there, or use another address",
            ) from error


def advertise(ec2: Ec2, route: Mapping[str, str], interface: str) -> dict[str, str] | None:
    """Let a route point at an interface; returns it for :func:`withdraw`, None if it was there."""
    place = {"RouteTableId": route["table_id"], "DestinationCidrBlock": route["destination"]}
    try:
        ec2.ask("CreateRoute", {**place, "NetworkInterfaceId": interface})
    except CloudError as error:
        if code_of(error) != "RouteAlreadyExists":
            raise
        ec2.ask("ReplaceRoute", {**place, "NetworkInterfaceId": interface})
        return None
    return place


def withdraw(ec2: Ec2, routes: Iterable[Mapping[str, str]]) -> None:
    """Delete routes; one that is gone is no error."""
    for route in routes:
        try:
            ec2.ask("DeleteRoute", route)
        except CloudError as error:
            if code_of(error) != "InvalidRoute.NotFound":
                raise
