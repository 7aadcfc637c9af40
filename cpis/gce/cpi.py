"""The GCE CPI: properties, and what Compute Engine's API is asked for.

A VM's and a disk's CID is its name, which GCE keeps unique in a project's zone; where it is, one
filtered request over all zones tells.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpis.contract import CloudError, Json
from cpis.gce import instance
from cpis.gce.connection import ENDPOINT, Tokens, make_connection, token_source
from cpis.gce.instance import Settings, last
from cpis.gce.judge import judge
from cpis.gce.properties import DISK, NETWORK, OWN, STEMCELL, VM
from cpis.libcloud_base.calls import Calls, Patience
from cpis.libcloud_base.cpi import LibcloudCpi
from cpis.libcloud_base.judge import NotThere, TakenAlready
from cpis.libcloud_base.outcome import act
from cpis.libcloud_base.provider import Disk, Provider, Size, Vm, WantedDisk, WantedVm
from cpis.properties import check_properties
from director.model.ids import DiskCid, SnapshotCid, StemcellCid, VmCid

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"projects/[^/]+/global/images/[^/]+\Z")
_BROKEN = {"STOPPING", "SUSPENDING", "SUSPENDED", "TERMINATED"}
_CONSOLE_LINES = 100
_BASE_DISK_GB = 10


def GceCpi(  # noqa: N802 -- to its callers it is a class, as every CPI
    properties: Json, *, patience: Patience | None = None, auth_endpoint: str | None = None
) -> LibcloudCpi:
    """Return the CPI for a project of Google Compute Engine; asks Google nothing yet.

    ``auth_endpoint`` replaces Google's authentication service.
    """
    check_properties("the GCE CPI", OWN, properties)
    settings = Settings(
        project=properties["project"],
        zone=properties.get("zone"),
        root_disk_gb=properties.get("default_root_disk_size_gb"),
        root_disk_type=properties.get("default_root_disk_type") or "pd-standard",
    )
    tokens = Tokens(token_source(properties.get("json_key"), endpoint=auth_endpoint))
    connect = functools.partial(
        make_connection, settings.project, properties.get("endpoint") or ENDPOINT, tokens
    )
    return LibcloudCpi(provider(Gce(calls=Calls(connect, judge, patience=patience), it=settings)))


def provider(gce: Gce) -> Provider:
    """Return Compute Engine as the base class takes it."""
    return Provider(
        title="GCE",
        calls=gce.calls,
        unique_names=True,
        stemcell_formats=("google-light", "light"),
        vm_schema=VM,
        network_schema=NETWORK,
        disk_schema=DISK,
        stemcell=gce.stemcell,
        vm=gce.vm,
        vm_named=lambda name: gce.vm(VmCid(name)),
        disk=gce.disk,
        disk_named=lambda name: gce.disk(DiskCid(name)),
        disks_of=instance.disks_of,
        create_vm=gce.create_vm,
        delete_vm=lambda vm: gce.delete("deleting the VM", _path(vm.thing)),
        reboot_vm=gce.reboot_vm,
        label_vm=lambda vm, labels: gce.label("instances", vm.thing, labels),
        console=gce.console,
        create_disk=gce.create_disk,
        delete_disk=lambda disk: gce.delete("deleting the disk", _path(disk.thing)),
        attach=gce.attach,
        detach=gce.detach,
        grow=lambda disk, size_gb: gce.do(
            "resizing the disk", "POST", f"{_path(disk.thing)}/resize", {"sizeGb": size_gb}
        ),
        same_kind=gce.same_kind,
        label_disk=lambda disk, labels: gce.label("disks", disk.thing, labels),
        snapshot=gce.snapshot,
        delete_snapshot=lambda cid: gce.delete("deleting the snapshot", f"/global/snapshots/{cid}"),
        device=instance.device,
        sizes=gce.sizes,
        size_properties=lambda size, ephemeral_mb: {
            "machine_type": size.name,
            "root_disk_size_gb": _BASE_DISK_GB + -(-ephemeral_mb // 1024),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gce:
    """Requests to Compute Engine's API, through libcloud's connection."""

    calls: Calls[Any]
    it: Settings

    def read(self, action: str, path: str, **parameters: str) -> dict[str, Any]:
        """Return what a GET of a path says; a path of another project begins with ``https://``."""
        return dict(
            self.calls.ask(action, lambda c: c.request(path, params=parameters or None).object)
        )

    def do(self, action: str, method: str, path: str, body: Json | None = None) -> None:
        """Ask for an operation and wait until it is done.

        Every request may be repeated: names are unique, and the rest sets what is wanted.
        """
        began = self.calls.ask(
            action, lambda c: c.request(path, method=method, data=body or {}).object
        )

        def done() -> bool | None:
            now = began
            if now.get("status") != "DONE":
                now = self.read(action, _path(began))
            return True if now.get("status") == "DONE" else None

        self.calls.until(action, done, timeout_s=600.0)

    def delete(self, action: str, path: str) -> None:
        """Delete what is at a path; what is not there is deleted."""
        try:
            self.do(action, "DELETE", path)
        except NotThere:
            return

    def stemcell(self, properties: Json) -> StemcellCid:
        """Return the path of an image that is in the cloud; raises CloudError if it is not."""
        known = STEMCELL["properties"]
        check_properties("stemcell", STEMCELL, {k: v for k, v in properties.items() if k in known})
        if family := properties.get("image_family"):
            project = properties.get("image_project") or self.it.project
            path = f"projects/{project}/global/images/family/{family}"
        elif match := _IMAGE.search(properties.get("image_url") or ""):
            path = match.group()
        else:
            raise CloudError(
                "the stemcell names no image of Google's: this CPI takes light stemcells only",
                fix="set 'image_url' or 'image_family' in its cloud_properties; an image of your "
                "own is made of a raw disk with 'gcloud compute images create --source-uri'",
            )
        image = self.read("reading the image", f"https://host/compute/v1/{path}")
        found = _IMAGE.search(str(image.get("selfLink")))
        return StemcellCid(found.group() if found else path)

    # -- VMs ------------------------------------------------------------------------------------

    def vm(self, cid: VmCid) -> Vm | None:
        found = self._named("instances", cid)
        if found is None:
            return None
        return Vm(
            cid=cid,
            running=found.get("status") == "RUNNING",
            broken=found.get("status") in _BROKEN,
            addresses=instance.addresses(found),
            thing=found,
        )

    def create_vm(self, wanted: WantedVm) -> None:
        zone = self.it.zone_of(wanted.properties)
        body = instance.body(self.it, zone, wanted)
        self.do("creating the VM", "POST", f"/zones/{zone}/instances", body)

    def reboot_vm(self, vm: Vm) -> None:
        verb = "start" if vm.broken else "reset"
        self.do("rebooting the VM", "POST", f"{_path(vm.thing)}/{verb}")

    def console(self, vm: Vm) -> str:
        answer = self.read("reading the console", f"{_path(vm.thing)}/serialPort")
        return "\n".join(str(answer.get("contents") or "").splitlines()[-_CONSOLE_LINES:])

    # -- disks ----------------------------------------------------------------------------------

    def disk(self, cid: DiskCid) -> Disk | None:
        found = self._named("disks", cid)
        if found is None:
            return None
        users = found.get("users") or []
        return Disk(
            cid=cid,
            size_gb=int(found["sizeGb"]),
            holder=VmCid(last(users[0])) if users else None,
            ready=found.get("status") == "READY",
            thing=found,
        )

    def create_disk(self, wanted: WantedDisk) -> None:
        near = wanted.near
        zone = last(near.thing["zone"]) if near else self.it.zone_of(wanted.properties)
        kind = wanted.properties.get("type") or "pd-standard"
        body = {
            "name": wanted.name,
            "sizeGb": str(wanted.size_gb),
            "type": f"projects/{self.it.project}/zones/{zone}/diskTypes/{kind}",
        }
        self.do("creating the disk", "POST", f"/zones/{zone}/disks", body)

    def attach(self, vm: Vm, disk: Disk) -> None:
        body = {
            "source": disk.thing["selfLink"],
            "deviceName": disk.cid,
            "mode": "READ_WRITE",
            "autoDelete": False,
        }
        self.do("attaching the disk", "POST", f"{_path(vm.thing)}/attachDisk", body)

    def detach(self, vm: Vm, disk: Disk) -> None:
        name = instance.device_name(vm.thing, disk.cid)
        path = f"{_path(vm.thing)}/detachDisk?deviceName={name}"
        self.do("detaching the disk", "POST", path)

    def same_kind(self, disk: Disk, properties: Json) -> bool:
        return last(str(disk.thing["type"])) == (properties.get("type") or "pd-standard")

    def snapshot(self, disk: Disk, name: str, metadata: Mapping[str, str]) -> SnapshotCid:
        body = {"name": name, "labels": instance.labels(metadata)}
        # Its name is new: if it is taken, an answer was lost and this is the second request.
        with contextlib.suppress(TakenAlready):
            self.do("making the snapshot", "POST", f"{_path(disk.thing)}/createSnapshot", body)
        return SnapshotCid(name)

    # -- both -----------------------------------------------------------------------------------

    def label(self, kind: str, thing: Json, metadata: Mapping[str, str]) -> None:
        """Add labels to those a VM or disk has."""
        new = instance.labels(metadata)

        def labelled() -> bool:
            now = self._named(kind, thing["name"])
            return now is not None and new.items() <= (now.get("labels") or {}).items()

        body = {
            "labels": {**(thing.get("labels") or {}), **new},
            "labelFingerprint": thing.get("labelFingerprint"),
        }
        act(lambda: self.do("labelling", "POST", f"{_path(thing)}/setLabels", body), labelled)

    def sizes(self) -> Sequence[Size]:
        """Return the machine types of the CPI's zone; general ones of the cheapest family first."""
        zone = self.it.zone_of({})
        found = self._pages("listing the machine types", f"/zones/{zone}/machineTypes")
        return [
            Size(
                name=str(one["name"]),
                cpu=float(one["guestCpus"]),
                ram_mb=int(one["memoryMb"]),
                rank=0.0 if str(one["name"]).startswith("e2-") else 1.0,
            )
            for page in found
            for one in page.get("items") or ()
            if instance.is_general(one)
        ]

    def _named(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the instance or disk of a name, in whatever zone it is."""
        if not _NAME.fullmatch(name):
            return None
        unreachable = False
        for page in self._pages(f"looking for '{name}'", f"/aggregated/{kind}", f'name="{name}"'):
            for scope in (page.get("items") or {}).values():
                for one in scope.get(kind) or ():
                    if one.get("name") == name:
                        return dict(one)
                unreachable |= (scope.get("warning") or {}).get("code") == "UNREACHABLE"
        if unreachable:
            raise CloudError(
                f"looking for '{name}': a zone of Google's cannot be reached", ok_to_retry=True
            )
        return None

    def _pages(self, action: str, path: str, matching: str = "") -> Iterator[dict[str, Any]]:
        parameters = {"filter": matching} if matching else {}
        while True:
            page = self.read(action, path, **parameters)
            yield page
            if not page.get("nextPageToken"):
                return
            parameters["pageToken"] = page["nextPageToken"]


def _path(thing: Json) -> str:
    """Return the path of a thing or an operation within the project."""
    name = thing["name"]
    if thing.get("zone"):
        kind = "operations" if thing.get("operationType") else last(str(thing["kind"]), "#") + "s"
        return f"/zones/{last(str(thing['zone']))}/{kind}/{name}"
    return f"/global/operations/{name}"
