"""The test OpenStack as the bridge sees it: what Nova and Cinder tell an administrator."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from clouds.bridge import Server
from clouds.openstack import project
from clouds.openstack.layout import Layout

_GONE = ("DELETED", "SOFT_DELETED")


class OpenStackServers:
    """Satisfies :class:`clouds.bridge.Cloud`, for servers in one subnet."""

    def __init__(self, layout: Layout, subnet: IPv4Network) -> None:
        self._api = project.api(layout, "admin")
        self._subnet = subnet
        self._reboots: dict[str, tuple[str, int]] = {}

    def servers(self) -> Mapping[str, Server]:
        rows = self._api.pages("compute", "/servers/detail", "servers", "look", all_tenants=1)
        # Without an address it is not placed yet.
        here = [r for r in rows if r["status"] not in _GONE and self._address(r) is not None]
        return {row["id"]: self._server(row) for row in here}

    def volumes(self) -> Mapping[str, int]:
        rows = self._api.pages("volume", "/volumes/detail", "volumes", "look", all_tenants=1)
        return {row["id"]: row["size"] * 1024 for row in rows}

    def _server(self, row: Any) -> Server:
        ephemeral_mb = row["flavor"]["ephemeral"] * 1024
        attached = [one["id"] for one in row["os-extended-volumes:volumes_attached"]]
        return Server(
            id=row["id"],
            image=row["image"]["id"],
            address=IPv4Interface(f"{self._address(row)}/{self._subnet.prefixlen}"),
            gateway=str(self._subnet[1]),
            user_data=base64.b64decode(row["OS-EXT-SRV-ATTR:user_data"]).decode(),
            # QEMU gives the guest 20 characters of the id as the disk's serial number.
            volumes={one: (f"/dev/disk/by-id/virtio-{one[:20]}",) for one in attached},
            scratch={"/dev/vdb": ephemeral_mb} if ephemeral_mb else {},
            reboots=self._reboots_of(row),
        )

    def _address(self, row: Any) -> str | None:
        found = [a["addr"] for net in row["addresses"].values() for a in net]
        return next((one for one in found if IPv4Network(one).subnet_of(self._subnet)), None)

    def _reboots_of(self, row: Any) -> int:
        before = self._reboots.get(row["id"])
        if before is None or before[0] != row["updated"]:
            path = f"/servers/{row['id']}/os-instance-actions"
            answer = self._api.get("compute", path, "look")
            done = [a for a in answer["instanceActions"] if a["action"] == "reboot"]
            before = self._reboots[row["id"]] = row["updated"], len(done)
        return before[1]
