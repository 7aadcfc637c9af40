"""Servers: found by their tag, made once, gone with all that was made for them."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cpis.contract import CloudError, Json, Networks, VmCreationFailed, VmNotFound
from cpis.libcloud_base.user_data import host_name, user_data
from cpis.openstack import flavors, groups, pools, ports
from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.images import image_id
from cpis.openstack.judge import ApiError
from cpis.openstack.properties import VM_SCHEMA
from cpis.properties import check_properties
from director.model.ids import AgentId, StemcellCid, VmCid

_log = logging.getLogger(__name__)
_AGENT = "director_agent_id"
_LONGEST_USER_DATA = 65535
_GONE = ("DELETED", "SOFT_DELETED")


def mark(agent_id: AgentId) -> str:
    """Return the tag of a VM's server and the name of its ports.

    Nova's tags have at most 60 characters and neither slash nor comma.
    """
    if re.fullmatch(r"[\w.-]{1,55}", agent_id):
        return f"vm-{agent_id}"
    return f"vm-{hashlib.sha256(agent_id.encode()).hexdigest()[:40]}"


def find(cloud: Cloud, agent_id: AgentId) -> Row | None:
    """Return the server made for this agent id, whatever its name and state, or None."""
    tag = mark(agent_id)
    found = cloud.api.pages(
        "compute", "/servers/detail", "servers", f"look for the server '{tag}'", tags=tag
    )
    there = [server for server in found if server.get("status") not in _GONE]
    return min(there, key=lambda s: (s["created"], s["id"]), default=None)


def look(cloud: Cloud, cid: VmCid) -> Row | None:
    """Return the server with this id, or None."""
    found = cloud.api.look("compute", "/servers/{}", cid, f"look at the server '{cid}'")
    server = (found or {}).get("server")
    return None if server is None or server.get("status") in _GONE else dict(server)


def get(cloud: Cloud, cid: VmCid) -> Row:
    """Return the server with this id; raises VmNotFound."""
    server = look(cloud, cid)
    if server is None:
        raise VmNotFound(f"there is no VM '{cid}'")
    return server


def path(cid: VmCid, rest: str = "") -> str:
    """Return the path of a server; raises VmNotFound for what can be no id."""
    try:
        return at("/servers/{}", cid) + rest
    except ApiError as error:
        raise VmNotFound(f"there is no VM '{cid}'") from error


def create(
    cloud: Cloud,
    agent_id: AgentId,
    stemcell: StemcellCid,
    properties: Json,
    networks: Networks,
    env: Json,
) -> tuple[VmCid, Networks]:
    """Return the VM of this agent id, making it unless it is there; see the contract.

    Removes all it made where it fails; VmCreationFailed then says whether trying again may help.
    """
    check_properties("VM", VM_SCHEMA, properties)
    ports.check(networks)
    with cloud.turns.of(mark(agent_id)):
        server, there = find(cloud, agent_id), []
        if server is not None:
            there = ports.of_name(cloud, mark(agent_id))
            going = any(ports.is_condemned(port, server["id"]) for port in there)
            if going or server["status"] == "ERROR":
                delete(cloud, VmCid(server["id"]))
                server = None
        if server is not None and server["status"] != "BUILD":
            # It may have been handed out already, so a failure here is no reason to remove it.
            return _finish(cloud, agent_id, server, there, properties, networks)
        try:
            if server is None:
                return _create(cloud, agent_id, stemcell, properties, networks, env)
            _wait(cloud, VmCid(server["id"]))
            return _finish(cloud, agent_id, server, there, properties, networks)
        except BaseException as error:
            cleaned = _clean_up(cloud, agent_id)
            if not isinstance(error, CloudError):
                raise
            again = cleaned and error.ok_to_retry
            raise VmCreationFailed(error.what, ok_to_retry=again, fix=error.fix) from error


def _create(
    cloud: Cloud,
    agent_id: AgentId,
    stemcell: StemcellCid,
    properties: Json,
    networks: Networks,
    env: Json,
) -> tuple[VmCid, Networks]:
    flavor = flavors.named(cloud, properties["instance_type"])
    floating = ports.floating_ip(cloud, networks)
    balanced = properties.get("loadbalancer_pools") or ()
    pool_ids = pools.ids_of(cloud, balanced)
    wanted: dict[str, Any] = {
        "name": mark(agent_id),
        "flavorRef": flavor["id"],
        "tags": [mark(agent_id)],
        "metadata": {**(properties.get("metadata") or {}), _AGENT: agent_id[:255]},
        "user_data": _encoded(user_data(hostname=host_name(agent_id), env=env)),
        **_root_disk(cloud, stemcell, properties, flavor),
    }
    if pool_ids:
        wanted["metadata"][pools.METADATA] = ",".join(pool_ids)[:255]
    if key := properties.get("key_name") or cloud.settings.key_name:
        wanted["key_name"] = key
    if zone := properties.get("availability_zone"):
        wanted["availability_zone"] = zone
    if cloud.settings.config_drive:
        wanted["config_drive"] = True
    there = ports.create(cloud, mark(agent_id), networks, properties)
    wanted["networks"] = [{"port": port["id"]} for port in there]
    server = _send(
        cloud, agent_id, wanted, properties, str((env.get("bosh") or {}).get("group", ""))
    )
    cid = VmCid(server["id"])
    _wait(cloud, cid)
    if floating is not None:
        ports.associate(cloud, floating, networks, there)
    if pool_ids:
        pools.join(cloud, mark(agent_id), there[0], balanced, pool_ids)
    return cid, ports.given(networks, there)


def _finish(
    cloud: Cloud,
    agent_id: AgentId,
    server: Row,
    of_name: Sequence[Row],
    properties: Json,
    networks: Networks,
) -> tuple[VmCid, Networks]:
    """Do what an interrupted creation left undone; each step may be repeated."""
    cid = VmCid(server["id"])
    there = ports.existing(of_name, mark(agent_id), networks)
    floating = ports.floating_ip(cloud, networks)
    if floating is not None:
        ports.associate(cloud, floating, networks, there)
    balanced = properties.get("loadbalancer_pools") or ()
    if balanced:
        pools.join(cloud, mark(agent_id), there[0], balanced, pools.ids_of(cloud, balanced))
    return cid, ports.given(networks, there)


def _send(cloud: Cloud, agent_id: AgentId, wanted: Row, properties: Json, group: str) -> Row:
    """Ask for the server; without its server group where that is full."""
    hints = dict(properties.get("scheduler_hints") or {})
    spread = bool(group) and cloud.settings.spread and "group" not in hints
    body: Row = {"server": wanted, "os:scheduler_hints": hints}
    doing = f"create the server '{wanted['name']}'"

    def make() -> Row:
        sent = cloud.api.send("POST", "compute", "/servers", body, doing, repeatable=False)
        return dict(sent["server"])

    for tries in range(3):
        body["os:scheduler_hints"] = hints
        if spread and tries < 2 and (server_group := groups.id_of(cloud, group)):
            body["os:scheduler_hints"] = {**hints, "group": server_group}
        try:
            return cloud.api.make(make, lambda: find(cloud, agent_id))
        except ApiError as error:
            about_group = "group" in error.what and body["os:scheduler_hints"] is not hints
            if not about_group or error.http_status not in (400, 403, 404):
                raise
            # Deleted meanwhile as empty, or full: the first is made anew, the second done without.
            groups.forget(cloud, group)
            if error.quota:
                _log.warning("a VM of '%s' is not spread over hosts: %s", group, error.what)
                spread = False
    raise AssertionError("unreachable")


def _encoded(text: str) -> str:
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > _LONGEST_USER_DATA:
        raise CloudError(
            f"the VM's user data has {len(encoded)} bytes, of which OpenStack takes 65535",
            fix="shorten the 'env' of the instance group",
        )
    return encoded


def _root_disk(cloud: Cloud, stemcell: StemcellCid, properties: Json, flavor: Row) -> Row:
    image, own = image_id(stemcell), properties.get("boot_from_volume")
    root = properties.get("root_disk") or {}
    if not (cloud.settings.boot_from_volume if own is None else own):
        if root:
            _log.warning("'root_disk' is not used without 'boot_from_volume'")
        return {"imageRef": image}
    size = root.get("size") or flavor["disk"]
    if not size:
        raise CloudError(
            f"the flavor '{flavor['name']}' has no root disk", fix="set 'root_disk.size' (GiB)"
        )
    volume = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": size,
        "delete_on_termination": True,
    }
    if kind := root.get("type"):
        volume["volume_type"] = kind
    return {"block_device_mapping_v2": [volume]}


def _wait(cloud: Cloud, cid: VmCid) -> None:
    def ready() -> bool | None:
        server = look(cloud, cid)
        if server is None:
            raise CloudError(f"the server '{cid}' vanished while it was built", ok_to_retry=True)
        if server["status"] == "ERROR":
            raise _fault(cid, server)
        return True if server["status"] == "ACTIVE" else None

    timeout_s = cloud.settings.state_timeout_s
    cloud.api.calls.until(f"building the server '{cid}'", ready, timeout_s=timeout_s, first_s=0.4)


def _fault(cid: VmCid, server: Mapping[str, Any]) -> CloudError:
    """Return why Nova could not build a server; a quota does not go away by trying again."""
    said = str((server.get("fault") or {}).get("message") or "it does not say why")
    said = " ".join(said.split())[:400].rstrip(". ")
    fix = None
    if "No valid host" in said:
        said = f"no host has room for it ({said})"
        fix = "use a smaller flavor or another availability zone, or wait for capacity"
    return CloudError(
        f"OpenStack could not build the server '{cid}': {said}",
        ok_to_retry="uota" not in said,
        fix=fix,
    )


def _clean_up(cloud: Cloud, agent_id: AgentId) -> bool:
    """Remove what a failed creation made; returns whether that went well."""
    try:
        server = find(cloud, agent_id)
        if server is not None:
            delete(cloud, VmCid(server["id"]))
        delete_ports(cloud, agent_id)
    except CloudError as error:
        _log.error("what is left of '%s' could not be removed: %s", mark(agent_id), error.what)
        return False
    return True


def delete_ports(cloud: Cloud, agent_id: AgentId) -> None:
    """Delete the ports that carry the mark of a VM, attached or not."""
    for port in ports.of_name(cloud, mark(agent_id)):
        ports.delete_one(cloud, port["id"])


def delete(cloud: Cloud, cid: VmCid) -> None:
    """Delete a server and what was made for it; returns once it is gone.

    Nova detaches its volumes, deletes its root volume and lets go of its ports, which Neutron does
    not delete before. Until they are deleted they carry the server's id, so that a call that comes
    after a crash in between finds them.
    """
    server = look(cloud, cid)
    if server is None:
        for port in ports.of_deleted(cloud, cid):
            ports.delete_one(cloud, port["id"])
        return
    metadata = server.get("metadata") or {}
    agent = AgentId(metadata.get(_AGENT) or "")
    if agent and metadata.get(pools.METADATA):
        pools.leave(cloud, mark(agent), metadata[pools.METADATA].split(","))
    there = ports.of_name(cloud, mark(agent)) if agent else ports.of_server(cloud, cid)
    for port in there:
        ports.condemn(cloud, port, cid)
    cloud.api.delete("compute", path(cid), f"delete the server '{cid}'")
    cloud.api.calls.until(
        f"deleting the server '{cid}'",
        lambda: True if look(cloud, cid) is None else None,
        timeout_s=cloud.settings.state_timeout_s,
        first_s=0.4,
    )
    for port in there:
        ports.delete_one(cloud, port["id"])
    groups.delete_if_empty(cloud, list(server.get("server_groups") or ()))


def reboot(cloud: Cloud, cid: VmCid) -> None:
    """Reboot a server, softly if it listens, and wait until it runs."""
    get(cloud, cid)
    doing, kinds = f"reboot the server '{cid}'", ["SOFT", "HARD"]
    while kinds:
        body = {"reboot": {"type": kinds.pop(0)}}
        try:
            cloud.api.send("POST", "compute", path(cid, "/action"), body, doing)
            cloud.api.calls.until(
                f"rebooting the server '{cid}'",
                lambda: _is_up(cloud, cid),
                timeout_s=cloud.settings.state_timeout_s / (1 + len(kinds)),
                first_s=0.4,
            )
        except VmNotFound:
            raise
        except CloudError as error:
            if not kinds:
                raise
            _log.info("%s softly failed, now hard: %s", doing, error.what)
        else:
            return


def _is_up(cloud: Cloud, cid: VmCid) -> bool | None:
    server = get(cloud, cid)
    if server["status"] == "ERROR":
        raise _fault(cid, server)
    return True if server["status"] == "ACTIVE" and not server["OS-EXT-STS:task_state"] else None


def label(cloud: Cloud, cid: VmCid, metadata: Mapping[str, str]) -> None:
    """Add to a server's metadata, and name it after its instance where the CPI is told to."""
    clean = {str(k)[:255]: str(v)[:255] for k, v in metadata.items() if k != _AGENT}
    try:
        if not clean:
            get(cloud, cid)
            return
        doing = f"set the metadata of the server '{cid}'"
        body: Row = {"metadata": clean}
        cloud.api.send("POST", "compute", path(cid, "/metadata"), body, doing)
        name = clean.get("name") or (clean.get("compiling") and f"compiling/{clean['compiling']}")
        if cloud.settings.readable_names and name:
            body = {"server": {"name": name}}
            cloud.api.send("PUT", "compute", path(cid), body, f"name the server '{cid}'")
    except ApiError as error:
        if error.http_status == 404:
            raise VmNotFound(f"there is no VM '{cid}'") from error
        raise


def console(cloud: Cloud, cid: VmCid) -> str:
    """Return the last lines of a server's console; empty where there is none."""
    get(cloud, cid)
    body = {"os-getConsoleOutput": {"length": 100}}
    try:
        answer = cloud.api.send(
            "POST", "compute", path(cid, "/action"), body, f"read the console of '{cid}'"
        )
    except ApiError as error:
        if error.http_status in (403, 404, 409, 501):
            return ""
        raise
    return str(answer.get("output") or "")
