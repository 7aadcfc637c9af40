"""An instance of Compute Engine: what creates one, and what the API says of one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpis.contract import CloudError, Json, Networks
from cpis.libcloud_base.provider import Disk, Vm, WantedVm
from director.model.ids import DiskCid

_SCOPE = "https://www.googleapis.com/auth/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The CPI's own properties that decide how things are made."""

    project: str
    zone: str | None
    root_disk_gb: int | None
    root_disk_type: str

    def zone_of(self, properties: Json) -> str:
        """Return the zone that properties name, or the CPI's own."""
        zone = properties.get("zone") or self.zone
        if not zone:
            raise CloudError(
                "no zone is named", fix="set 'zone' in the AZ's cloud_properties, or in the CPI's"
            )
        return str(zone)


def last(url: str, separator: str = "/") -> str:
    """Return the last part of a URL, which is the name of what it leads to."""
    return url.rsplit(separator, 1)[-1]


def region_of(zone: str) -> str:
    """Return the region of a zone."""
    return zone.rsplit("-", 1)[0]


def body(settings: Settings, zone: str, wanted: WantedVm) -> dict[str, Any]:
    """Return the request that creates an instance; raises CloudError for what cannot be."""
    properties = wanted.properties
    return {
        "name": wanted.name,
        "machineType": f"zones/{zone}/machineTypes/{_machine_type(properties)}",
        "disks": [_root_disk(settings, zone, wanted)],
        "networkInterfaces": _interfaces(settings, zone, wanted),
        "metadata": {"items": [{"key": "user-data", "value": wanted.user_data}]},
        "labels": labels(properties.get("labels") or {}),
        "tags": {"items": sorted(_all(wanted, "tags"))},
        "canIpForward": _any(wanted, "ip_forwarding"),
        "scheduling": _scheduling(properties),
        "serviceAccounts": _accounts(properties),
    }


def addresses(instance: Json) -> tuple[str, ...]:
    """Return the private addresses of an instance, in the order of its interfaces."""
    return tuple(str(one["networkIP"]) for one in instance.get("networkInterfaces") or ())


def disks_of(vm: Vm) -> Sequence[DiskCid]:
    """Return the persistent disks of a VM: all but the one it boots from."""
    return [
        DiskCid(last(str(one["source"])))
        for one in vm.thing.get("disks") or ()
        if not one.get("boot") and one.get("source")
    ]


def device(_vm: Vm, disk: Disk) -> str:
    """Return where a VM finds a disk: by Google's udev rules, or else by those of every Linux."""
    return (
        f"/dev/disk/by-id/google-{disk.cid} /dev/disk/by-id/scsi-0Google_PersistentDisk_{disk.cid}"
    )


def device_name(instance: Json, disk: DiskCid) -> str:
    """Return the name a disk is attached under, which is its own where this CPI attached it."""
    for one in instance.get("disks") or ():
        if last(str(one.get("source") or "")) == disk:
            return str(one.get("deviceName") or disk)
    return disk


def is_general(machine_type: Json) -> bool:
    """Tell whether any image for x86-64 runs on a machine type, at its usual price."""
    return (
        machine_type.get("architecture", "X86_64") == "X86_64"
        and not machine_type.get("accelerators")
        and not machine_type.get("deprecated")
    )


def labels(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as labels, which hold lower case letters, digits, ``-`` and ``_``."""
    plain = {_label(key): _label(value) for key, value in metadata.items()}
    return {key: value for key, value in plain.items() if key[:1].isalpha()}


def _label(text: object) -> str:
    return re.sub(r"[^a-z0-9_-]", "-", str(text).lower())[:63]


def _machine_type(properties: Json) -> str:
    cpu, ram = properties.get("cpu"), properties.get("ram")
    given = properties.get("machine_type")
    if given and not (cpu or ram):
        return str(given)
    if cpu and ram and not given:
        return f"custom-{cpu}-{-(-ram // 256) * 256}"
    raise CloudError(
        "a VM needs either 'machine_type' or both of 'cpu' and 'ram'",
        fix="set one of them in the vm_type's cloud_properties",
    )


def _root_disk(settings: Settings, zone: str, wanted: WantedVm) -> dict[str, Any]:
    kind = wanted.properties.get("root_disk_type") or settings.root_disk_type
    size_gb = wanted.properties.get("root_disk_size_gb") or settings.root_disk_gb
    parameters = {
        "sourceImage": wanted.stemcell,
        "diskType": f"zones/{zone}/diskTypes/{kind}",
        **({"diskSizeGb": str(size_gb)} if size_gb else {}),
    }
    return {"boot": True, "autoDelete": True, "initializeParams": parameters}


def _interfaces(settings: Settings, zone: str, wanted: WantedVm) -> list[dict[str, Any]]:
    vip = next((n.get("ip") for n in wanted.networks.values() if n.get("type") == "vip"), None)
    made = [_interface(settings, zone, network) for network in private(wanted.networks)]
    if not made:
        raise CloudError("a VM needs a network that is not of type 'vip'")
    if vip or _any(wanted, "ephemeral_external_ip"):
        access = {"type": "ONE_TO_ONE_NAT", "name": "External NAT"}
        made[0]["accessConfigs"] = [{**access, **({"natIP": vip} if vip else {})}]
    return made


def private(networks: Networks) -> list[Mapping[str, Any]]:
    """Return the networks a VM has an interface in."""
    return [network for network in networks.values() if network.get("type") != "vip"]


def _interface(settings: Settings, zone: str, network: Mapping[str, Any]) -> dict[str, Any]:
    properties = network.get("cloud_properties") or {}
    project = properties.get("xpn_host_project_id") or settings.project
    name = properties.get("network_name") or "default"
    interface = {"network": f"projects/{project}/global/networks/{name}"}
    if subnetwork := properties.get("subnetwork_name"):
        path = f"projects/{project}/regions/{region_of(zone)}/subnetworks/{subnetwork}"
        interface["subnetwork"] = path
    if network.get("type", "manual") == "manual" and network.get("ip"):
        interface["networkIP"] = str(network["ip"])
    return interface


def _scheduling(properties: Json) -> dict[str, Any]:
    preemptible = bool(properties.get("preemptible"))
    return {
        "preemptible": preemptible,
        "automaticRestart": properties.get("automatic_restart", not preemptible),
        "onHostMaintenance": properties.get("on_host_maintenance")
        or ("TERMINATE" if preemptible else "MIGRATE"),
    }


def _accounts(properties: Json) -> list[dict[str, Any]]:
    scopes = properties.get("service_scopes") or []
    account = properties.get("service_account")
    if not scopes and not account:
        return []
    full = [one if one.startswith("https://") else _SCOPE + one for one in scopes]
    return [{"email": account or "default", "scopes": full or [_SCOPE + "cloud-platform"]}]


def _said(wanted: WantedVm, key: str) -> list[Any]:
    """Return what the VM's and its networks' properties say under a key."""
    places = [n.get("cloud_properties") or {} for n in private(wanted.networks)]
    return [place[key] for place in (*places, wanted.properties) if place.get(key) is not None]


def _all(wanted: WantedVm, key: str) -> set[str]:
    return {one for several in _said(wanted, key) for one in several}


def _any(wanted: WantedVm, key: str) -> bool:
    """Tell a flag: the VM's own word counts before its networks'."""
    said = _said(wanted, key)
    return bool(said and said[-1])
