"""The CloudStack CPI: properties, and what CloudStack's API is asked for."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cpis.cloudstack.api import Api, Thing, judge, make_driver
from cpis.cloudstack.properties import DISK, NETWORK, OWN, STEMCELL, VM
from cpis.cloudstack.tags import set_tags
from cpis.contract import CloudError, Json, Networks
from cpis.libcloud_base.calls import Calls, Patience
from cpis.libcloud_base.cpi import LibcloudCpi
from cpis.libcloud_base.judge import NotThere, Uncertain
from cpis.libcloud_base.provider import Disk, Provider, Size, Vm, WantedDisk, WantedVm, gb_of
from cpis.properties import check_properties
from director.model.ids import DiskCid, SnapshotCid, StemcellCid, VmCid

_GB = 1024**3
_EPHEMERAL = "DATA-"
"""How CloudStack names the disk that it makes together with a VM."""

_LEAVING = {"Destroyed", "Expunging", "Expunged", "Destroy"}
_BROKEN = {"Error", "Stopped", "Stopping"}
_ROOT_GB = 10


def CloudStackCpi(properties: Json, *, patience: Patience | None = None) -> LibcloudCpi:  # noqa: N802 -- to its callers it is a class, as every CPI
    """Return the CPI for an account of a CloudStack; asks it nothing yet."""
    check_properties("the CloudStack CPI", OWN, properties)
    keys = ("endpoint", "api_key", "secret_access_key")
    connect = functools.partial(make_driver, *(properties[key] for key in keys))
    api = Api(calls=Calls(connect, judge, patience=patience))
    return LibcloudCpi(provider(CloudStack(api=api, own=properties)))


def provider(cloud: CloudStack) -> Provider:
    """Return CloudStack as the base class takes it."""
    api = cloud.api
    return Provider(
        title="CloudStack",
        calls=api.calls,
        stemcell_formats=("cloudstack-light", "light"),
        vm_schema=VM,
        network_schema=NETWORK,
        disk_schema=DISK,
        stemcell=cloud.stemcell,
        vm=lambda cid: _vm(api.one("listVirtualMachines", "virtualmachine", id=cid)),
        vm_named=lambda name: _vm(api.one("listVirtualMachines", "virtualmachine", name=name)),
        disk=lambda cid: _disk(api.one("listVolumes", "volume", id=cid)),
        disk_named=lambda name: _disk(api.one("listVolumes", "volume", name=name)),
        disks_of=lambda vm: [
            DiskCid(one["id"])
            for one in cloud.data_disks(vm)
            if not one["name"].startswith(_EPHEMERAL)
        ],
        create_vm=cloud.create_vm,
        delete_vm=cloud.delete_vm,
        reboot_vm=cloud.reboot_vm,
        label_vm=lambda vm, tags: set_tags(api, "UserVm", vm.thing, tags),
        create_disk=cloud.create_disk,
        delete_disk=cloud.delete_disk,
        attach=lambda vm, disk: cloud.job(
            "attaching the disk", "attachVolume", {"id": disk.cid, "virtualmachineid": vm.cid}
        ),
        detach=lambda _vm, disk: cloud.job("detaching the disk", "detachVolume", {"id": disk.cid}),
        grow=lambda disk, size_gb: cloud.job(
            "resizing the disk", "resizeVolume", {"id": disk.cid, "size": size_gb}
        ),
        same_kind=lambda disk, properties: (
            disk.thing.get("diskofferingid") == cloud.disk_offering(properties)
        ),
        label_disk=lambda disk, tags: set_tags(api, "Volume", disk.thing, tags),
        snapshot=cloud.snapshot,
        delete_snapshot=cloud.delete_snapshot,
        device=device,
        sizes=cloud.sizes,
        size_properties=cloud.size_properties,
    )


def device(_vm: Vm, disk: Disk) -> str:
    """Return where a VM finds a disk: KVM's virtual disks have the volume's id as serial number."""
    serial = disk.cid.replace("-", "")[:20]
    return f"/dev/disk/by-id/virtio-{serial} /dev/disk/by-id/*{serial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStack:
    """What an account's CloudStack is asked for; ``own`` are the CPI's properties."""

    api: Api
    own: Json

    def job(self, action: str, command: str, parameters: Json) -> None:
        """Let CloudStack do a job that may be repeated; what it did is read again."""
        self.api.job(action, command, parameters)

    def stemcell(self, properties: Json) -> StemcellCid:
        """Return the id of a template that is there; raises CloudError if it is not."""
        known = STEMCELL["properties"]
        check_properties("stemcell", STEMCELL, {k: v for k, v in properties.items() if k in known})
        if not properties.get("template"):
            raise CloudError(
                "the stemcell names no template: this CPI takes light stemcells only",
                fix="register the image in CloudStack and set 'template' in the stemcell's "
                "cloud_properties to its name",
            )
        found = self.api.fresh_id_of(
            "listTemplates", "template", properties["template"], templatefilter="executable"
        )
        return StemcellCid(found)

    # -- VMs ------------------------------------------------------------------------------------

    def create_vm(self, wanted: WantedVm) -> Vm | None:
        made = self.api.job(
            "creating the VM", "deployVirtualMachine", self._order(wanted), repeatable=False
        )
        return _vm(made.get("virtualmachine"))

    def delete_vm(self, vm: Vm) -> None:
        """Destroy a VM together with its ephemeral disk."""
        own = [one["id"] for one in self.data_disks(vm) if one["name"].startswith(_EPHEMERAL)]
        expunge = self.own.get("force_expunge")
        order = {
            "id": vm.cid,
            "expunge": "false" if expunge is False else "true",
            "volumeids": ",".join(own),
        }
        with suppress(NotThere):
            self.job("deleting the VM", "destroyVirtualMachine", order)

    def reboot_vm(self, vm: Vm) -> None:
        command = "startVirtualMachine" if vm.broken else "rebootVirtualMachine"
        self.job("rebooting the VM", command, {"id": vm.cid})

    def _order(self, wanted: WantedVm) -> dict[str, object]:
        properties = wanted.properties
        zone = self.zone(properties)
        user_data = base64.b64encode(wanted.user_data.encode()).decode()
        offering = self.api.id_of(
            "listServiceOfferings", "serviceoffering", properties["compute_offering"]
        )
        return {
            "name": wanted.name,
            "displayname": wanted.name,
            "zoneid": zone,
            "serviceofferingid": offering,
            "templateid": wanted.stemcell,
            "userdata": user_data,
            "rootdisksize": properties.get("root_disk_gb"),
            "keypair": properties.get("key_name") or self.own.get("default_key_name"),
            "securitygroupnames": ",".join(properties.get("security_groups") or ()),
            "affinitygroupnames": ",".join(properties.get("affinity_groups") or ()),
            **self._ephemeral(properties),
            **self._interfaces(wanted.networks, zone),
        }

    def _ephemeral(self, properties: Json) -> dict[str, object]:
        size_mb = properties.get("disk") or 0
        offering = properties.get("ephemeral_disk_offering") or self.own.get(
            "default_ephemeral_disk_offering"
        )
        if not size_mb:
            return {}
        if not offering:
            raise CloudError(
                "a VM with an ephemeral 'disk' needs an offering for it",
                fix="set 'ephemeral_disk_offering' in the vm_type's cloud_properties, or "
                "'default_ephemeral_disk_offering' in the CPI's",
            )
        return {
            "diskofferingid": self.api.id_of("listDiskOfferings", "diskoffering", offering),
            "size": gb_of(size_mb),
        }

    def _interfaces(self, networks: Networks, zone: str) -> dict[str, object]:
        made: dict[str, object] = {}
        for n, (name, network) in enumerate(networks.items()):
            if network.get("type") == "vip":
                raise CloudError(
                    f"network '{name}' is of type 'vip', which the CloudStack CPI does not know",
                    fix="give the address to a VM with a static NAT rule of your own",
                )
            given = (network.get("cloud_properties") or {}).get("name")
            if not given:
                raise CloudError(
                    f"network '{name}' names no network of CloudStack's",
                    fix="set 'name' in its cloud_properties",
                )
            found = self.api.id_of("listNetworks", "network", given, zoneid=zone)
            made[f"iptonetworklist[{n}].networkid"] = found
            if network.get("type", "manual") == "manual":
                made[f"iptonetworklist[{n}].ip"] = network.get("ip")
        return made

    def zone(self, properties: Json) -> str:
        """Return the id of the zone that properties name, or the CPI's own."""
        given = properties.get("zone") or self.own.get("default_zone")
        if not given:
            raise CloudError(
                "no zone is named",
                fix="set 'zone' in the AZ's cloud_properties, or 'default_zone' in the CPI's",
            )
        return self.api.id_of("listZones", "zone", str(given))

    # -- disks ----------------------------------------------------------------------------------

    def data_disks(self, vm: Vm) -> Sequence[Thing]:
        """Return a VM's volumes but the one it boots from."""
        which = {"virtualmachineid": vm.cid, "type": "DATADISK"}
        answer = self.api.command("reading the VM's disks", "listVolumes", which)
        return list(answer.get("volume") or ())

    def create_disk(self, wanted: WantedDisk) -> Disk | None:
        near = wanted.near
        order = {
            "name": wanted.name,
            "zoneid": near.thing["zoneid"] if near else self.zone(wanted.properties),
            "diskofferingid": self.disk_offering(wanted.properties),
            "size": wanted.size_gb,
        }
        made = self.api.job("creating the disk", "createVolume", order, repeatable=False)
        return _disk(made.get("volume"))

    def delete_disk(self, disk: Disk) -> None:
        with suppress(NotThere):
            self.api.command("deleting the disk", "deleteVolume", {"id": disk.cid})

    def disk_offering(self, properties: Json) -> str:
        """Return the id of the offering that disk properties name, or of the CPI's own."""
        given = properties.get("disk_offering") or self.own.get("default_disk_offering")
        if not given:
            raise CloudError(
                "no disk offering is named",
                fix="set 'disk_offering' in the disk_type's cloud_properties, or "
                "'default_disk_offering' in the CPI's",
            )
        return self.api.id_of("listDiskOfferings", "diskoffering", str(given))

    def snapshot(self, disk: Disk, name: str, metadata: Mapping[str, str]) -> SnapshotCid:
        order = {"volumeid": disk.cid, "name": name}
        try:
            done = self.api.job("making the snapshot", "createSnapshot", order, repeatable=False)
            made = done.get("snapshot")
        except Uncertain:
            made = self.api.one("listSnapshots", "snapshot", name=name)
            if made is None:
                raise
        if not made:
            raise Uncertain("making the snapshot: CloudStack does not say which it made")
        if metadata:
            set_tags(self.api, "Snapshot", made, metadata)
        return SnapshotCid(str(made["id"]))

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        with suppress(NotThere):
            self.job("deleting the snapshot", "deleteSnapshot", {"id": cid})

    # -- sizes ----------------------------------------------------------------------------------

    def sizes(self) -> Sequence[Size]:
        """Return the compute offerings of fixed size."""
        answer = self.api.command("listing the offerings", "listServiceOfferings")
        return [
            Size(name=str(one["name"]), cpu=float(one["cpunumber"]), ram_mb=int(one["memory"]))
            for one in answer.get("serviceoffering") or ()
            if one.get("cpunumber") and one.get("memory")
        ]

    def size_properties(self, size: Size, ephemeral_mb: int) -> Json:
        if self.own.get("default_ephemeral_disk_offering"):
            return {"compute_offering": size.name, "disk": ephemeral_mb}
        return {"compute_offering": size.name, "root_disk_gb": _ROOT_GB + gb_of(ephemeral_mb)}


def _vm(found: Thing | None) -> Vm | None:
    if found is None or found.get("state") in _LEAVING:
        return None
    nics: Sequence[Mapping[str, Any]] = found.get("nic") or ()
    return Vm(
        cid=VmCid(str(found["id"])),
        running=found.get("state") == "Running",
        broken=found.get("state") in _BROKEN,
        addresses=tuple(str(nic["ipaddress"]) for nic in nics if nic.get("ipaddress")),
        thing=found,
    )


def _disk(found: Thing | None) -> Disk | None:
    if found is None or found.get("state") in _LEAVING:
        return None
    holder = found.get("virtualmachineid")
    return Disk(
        cid=DiskCid(str(found["id"])),
        size_gb=int(found["size"]) // _GB,
        holder=VmCid(str(holder)) if holder else None,
        ready=found.get("state") in ("Allocated", "Ready"),
        thing=found,
    )
