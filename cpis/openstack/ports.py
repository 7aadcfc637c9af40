"""The ports of a VM, one for each of its networks, and its floating IP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpis.contract import CloudError, Json, Networks
from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.images import looks_like_id
from cpis.openstack.judge import ApiError
from cpis.openstack.properties import (
    NETWORK_SCHEMA,
    VIP_SCHEMA,
    address_pairs,
)
from cpis.properties import check_properties
from director.model.ids import VmCid

_OURS = "vm-"
"""What the names of this CPI's ports begin with; the rest is the agent id."""


def kind(network: Mapping[str, Any]) -> str:
    """Return a network's type: ``manual``, ``dynamic`` or ``vip``."""
    return str(network.get("type") or "manual")


def check(networks: Networks) -> None:
    """Raise CloudError for networks that no VM can have."""
    for name, network in networks.items():
        owner, schema = (
            f"network '{name}'",
            VIP_SCHEMA if kind(network) == "vip" else NETWORK_SCHEMA,
        )
        check_properties(owner, schema, network.get("cloud_properties") or {})
        if kind(network) not in ("manual", "dynamic", "vip"):
            raise CloudError(f"{owner} has the unknown type '{kind(network)}'")
        if kind(network) != "dynamic" and not network.get("ip"):
            raise CloudError(f"{owner} has no address for the VM", fix="give it an address")
    if all(kind(network) == "vip" for network in networks.values()):
        raise CloudError("the VM is on no network", fix="give it a manual or dynamic network")
    if sum(kind(network) == "vip" for network in networks.values()) > 1:
        raise CloudError("the VM has more than one vip network", fix="leave one")


def create(cloud: Cloud, name: str, networks: Networks, properties: Json) -> list[Row]:
    """Return the VM's ports in the order of its networks, of which a crash may have left some."""
    inner = {label: net for label, net in networks.items() if kind(net) != "vip"}
    # Where every address is given, a port that is there already shows by the conflict; a call less.
    dynamic = any(kind(network) == "dynamic" for network in inner.values())
    there = of_name(cloud, name) if dynamic else []
    ports = []
    for label, network in inner.items():
        old = next((port for port in there if _is(port, label, network)), None)
        ports.append(old or _create_one(cloud, name, label, network, properties))
    return ports


def existing(there: Sequence[Row], name: str, networks: Networks) -> list[Row]:
    """Return the ports of a VM that is there, in the order of its networks."""
    found = []
    for label, network in networks.items():
        if kind(network) != "vip":
            port = next((port for port in there if _is(port, label, network)), None)
            if port is None:
                raise CloudError(
                    f"the VM '{name}' is there without a port on network '{label}' as asked for",
                    fix="delete the VM",
                )
            found.append(port)
    return found


def _create_one(
    cloud: Cloud, name: str, label: str, network: Mapping[str, Any], properties: Json
) -> Row:
    groups: Sequence[str] = (
        properties.get("security_groups")
        or network["cloud_properties"].get("security_groups")
        or cloud.settings.security_groups
    )
    body = _wanted(cloud, name, label, network, properties, groups)
    doing = f"create a port on network '{label}'"

    def make() -> Row:
        path, sent = "/ports", {"port": body}
        return dict(cloud.api.send("POST", "network", path, sent, doing, repeatable=False)["port"])

    def find() -> Row | None:
        return next((p for p in of_name(cloud, name) if _is(p, label, network)), None)

    for last in (False, True):
        try:
            return cloud.api.make(make, find)
        except ApiError as error:
            if error.http_status == 404:
                for one in groups:
                    cloud.ids.forget(f"security group {one}")
            if error.http_status != 409 or error.quota or kind(network) != "manual":
                raise
            port = _from_conflict(cloud, error, name, label, network, last=last)
            if port is not None:
                return port
    raise AssertionError("unreachable")


def _wanted(
    cloud: Cloud,
    name: str,
    label: str,
    network: Mapping[str, Any],
    properties: Json,
    groups: Sequence[str],
) -> Row:
    net_id = network["cloud_properties"]["net_id"]
    body: Row = {"network_id": net_id, "name": name, "description": label[:255]}
    if kind(network) == "manual":
        body["fixed_ips"] = [{"ip_address": network["ip"]}]
    if groups:
        body["security_groups"] = list(dict.fromkeys(_group_id(cloud, one) for one in groups))
    if pairs := address_pairs(properties):
        body["allowed_address_pairs"] = pairs
    return body


def _from_conflict(
    cloud: Cloud,
    error: ApiError,
    name: str,
    label: str,
    network: Mapping[str, Any],
    *,
    last: bool,
) -> Row | None:
    """Return our own port that holds the address, or None once a stale one is removed."""
    address, net = network["ip"], network["cloud_properties"]["net_id"]
    held = cloud.api.pages(
        "network",
        "/ports",
        "ports",
        f"look up who has the address '{address}'",
        network_id=net,
        fixed_ips=f"ip_address={address}",
    )
    for port in held:
        if port["name"] == name and _is(port, label, network):
            return port
    for port in held:
        if last or not _is_left_over(cloud, port):
            holder = f"the port '{port['id']}'"
            if port.get("device_id"):
                holder += f" of '{port['device_id']}' ({port.get('device_owner') or 'no owner'})"
            raise CloudError(
                f"the address '{address}' of network '{label}' is taken by {holder}",
                fix="use another address, or list it under 'reserved' of the subnet",
            ) from error
        delete_one(cloud, port["id"])
    if last:
        raise error
    return None


def _is_left_over(cloud: Cloud, port: Row) -> bool:
    """Tell whether a port is ours and its VM was never made: nobody will ask for it."""
    name = str(port["name"])
    if port.get("device_id") or not name.startswith(_OURS):
        return False
    # Nova claims a port only while it builds the server, which may have been asked for just now.
    asked = cloud.api.pages(
        "compute", "/servers", "servers", f"look for the server '{name}'", tags=name
    )
    return not asked


def _is(port: Row, label: str, network: Mapping[str, Any]) -> bool:
    """Tell whether a port is what this network of a VM needs."""
    addresses = [one.get("ip_address") for one in port.get("fixed_ips") or ()]
    return (
        port["network_id"] == network["cloud_properties"]["net_id"]
        and port.get("description") == label[:255]
        and (kind(network) == "dynamic" or addresses == [network["ip"]])
    )


def of_name(cloud: Cloud, name: str) -> list[Row]:
    """Return the ports that carry the mark of one VM, attached or not."""
    return cloud.api.pages("network", "/ports", "ports", "look up the VM's ports", name=name)


def of_server(cloud: Cloud, cid: VmCid) -> list[Row]:
    """Return the ports that a server has."""
    return cloud.api.pages("network", "/ports", "ports", "look up the VM's ports", device_id=cid)


def condemn(cloud: Cloud, port: Row, cid: VmCid) -> None:
    """Note on a port that it goes with its server, which is about to be deleted."""
    path, body = at("/ports/{}", port["id"]), {"port": {"description": _condemned(cid)}}
    try:
        cloud.api.send("PUT", "network", path, body, f"mark the port '{port['id']}'")
    except ApiError as error:
        if error.http_status != 404:
            raise


def _condemned(cid: str) -> str:
    return f"goes with the server {cid}"[:255]


def is_condemned(port: Row, cid: str) -> bool:
    """Tell whether the deletion of a port's server has begun."""
    return bool(port.get("description") == _condemned(cid))


def of_deleted(cloud: Cloud, cid: VmCid) -> list[Row]:
    """Return the ports that were to go with a server and did not."""
    doing = "look up the ports of a deleted VM"
    return cloud.api.pages("network", "/ports", "ports", doing, description=_condemned(cid))


def delete_one(cloud: Cloud, port_id: str) -> None:
    """Delete a port; a floating IP that was on it is free then."""
    cloud.api.delete("network", at("/ports/{}", port_id), f"delete the port '{port_id}'")


def given(networks: Networks, ports: Sequence[Row]) -> Networks:
    """Return a VM's networks with the addresses its ports got."""
    found = {}
    for label, network in networks.items():
        found[label] = dict(network)
        if kind(network) == "dynamic":
            port = next((port for port in ports if _is(port, label, network)), None)
            fixed = (port or {}).get("fixed_ips") or ()
            if fixed:
                found[label]["ip"] = fixed[0]["ip_address"]
    return found


# -- floating IPs --------------------------------------------------------------------------------


def floating_ip(cloud: Cloud, networks: Networks) -> Row | None:
    """Return the floating IP of the VM's vip network; raises CloudError where there is none."""
    for network in networks.values():
        if kind(network) == "vip":
            address = str(network["ip"])
            found = cloud.api.pages(
                "network",
                "/floatingips",
                "floatingips",
                f"look up the floating IP '{address}'",
                floating_ip_address=address,
            )
            if found:
                return found[0]
            raise CloudError(
                f"this project has no floating IP '{address}'",
                fix="create it first: openstack floating ip create --floating-ip-address ...",
            )
    return None


def associate(cloud: Cloud, floating: Row, networks: Networks, ports: Sequence[Row]) -> None:
    """Give the floating IP to the VM's port on its gateway's network."""
    labels = [label for label, network in networks.items() if kind(network) != "vip"]
    gateway = next(
        (one for one in labels if "gateway" in (networks[one].get("default") or ())), labels[0]
    )
    port = ports[labels.index(gateway)]
    holder = floating.get("port_id")
    if holder == port["id"]:
        return
    address = floating["floating_ip_address"]
    if holder:
        raise CloudError(
            f"the floating IP '{address}' is on another port, '{holder}'",
            fix="disassociate it, or use another one",
        )
    cloud.api.send(
        "PUT",
        "network",
        at("/floatingips/{}", floating["id"]),
        {"floatingip": {"port_id": port["id"]}},
        f"give the floating IP '{address}' to the VM",
    )


def _group_id(cloud: Cloud, group: str) -> str:
    if looks_like_id(group):
        return group
    return cloud.ids.get(f"security group {group}", lambda: _look_up_group(cloud, group))


def _look_up_group(cloud: Cloud, group: str) -> str:
    # Asked with the project: with the role admin all projects' groups of this name would come.
    found = cloud.api.pages(
        "network",
        "/security-groups",
        "security_groups",
        f"look up the security group '{group}'",
        name=group,
        project_id=cloud.session.token().project_id,
    )
    if len(found) != 1:
        count = "no" if not found else str(len(found))
        raise CloudError(
            f"this project has {count} security groups with the name '{group}'",
            fix="create it" if not found else "write its id instead of its name",
        )
    return str(found[0]["id"])
