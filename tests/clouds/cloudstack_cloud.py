"""CloudStack's API, as far as the CloudStack CPI needs it, with its jobs, errors and signatures."""

from __future__ import annotations

import base64
import hmac
import itertools
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote

from clouds.emulated import Answer, Emulated, Refused, Request

KEY, SECRET = "api-key", "secret-key"
ZONE, OTHER_ZONE, TEMPLATE, NETWORK = (str(uuid.UUID(int=n)) for n in (1, 2, 3, 4))
SMALL, LARGE, CUSTOM, DISKS, FAST = (str(uuid.UUID(int=n)) for n in (5, 6, 7, 8, 9))
_GB = 1024**3

LISTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "listZones": ("zone", [{"id": ZONE, "name": "z1"}, {"id": OTHER_ZONE, "name": "z2"}]),
    "listTemplates": ("template", [{"id": TEMPLATE, "name": "debian-12"}]),
    "listNetworks": ("network", [{"id": NETWORK, "name": "net"}]),
    "listServiceOfferings": (
        "serviceoffering",
        [
            {"id": CUSTOM, "name": "custom"},
            {"id": LARGE, "name": "large", "cpunumber": 4, "memory": 8192},
            {"id": SMALL, "name": "small", "cpunumber": 1, "memory": 1024},
        ],
    ),
    "listDiskOfferings": (
        "diskoffering",
        [{"id": DISKS, "name": "disks"}, {"id": FAST, "name": "fast"}],
    ),
}


def refuse(code: int, text: str, command: str = "error") -> Refused:
    body = {"uuidList": [], "errorcode": code, "cserrorcode": 4350, "errortext": text}
    return Refused(Answer(body={f"{command.lower()}response": body}, status=code))


def absent(given: str | None) -> Refused:
    text = f"Invalid parameter id value={given} due to incorrect long value format, or entity"
    return refuse(431, f"{text} does not exist")


class CloudStackCloud(Emulated):
    """One account. ``vms``, ``volumes`` and ``snapshots`` are the API's own objects by id."""

    def __init__(self) -> None:
        super().__init__()
        self.vms: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, str]] = []
        self.full = False
        self._numbers = itertools.count(20)

    @property
    def endpoint(self) -> str:
        return f"{self.url}/client/api"

    def action_of(self, request: Request) -> str:
        return dict(parse_qsl(request.body.decode())).get("command", request.path)

    def throttled(self) -> Answer:
        text = "The given user has reached his/her account api limit, please retry after 10 ms."
        return refuse(429, text).answer

    def handle(self, request: Request) -> Answer:
        given = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        assert (request.method, request.query) == ("POST", {}), "nothing of it is in the URL"
        if given.get("apiKey") != KEY or given.pop("signature") != _signature(given):
            raise refuse(401, "unable to verify user credentials and/or request signature")
        command = given["command"]
        if command in LISTS:
            answer = self._list(command, given)
        else:
            answer = getattr(self, f"_{command}")(given)
        return Answer(body={f"{command.lower()}response": answer})

    # -- reading --------------------------------------------------------------------------------

    def _list(self, command: str, given: dict[str, str]) -> dict[str, Any]:
        key, known = LISTS[command]
        if "name" in given and command == "listNetworks":
            given.pop("name")  # The real one knows no such parameter, and lists them all.
        return _found(key, [one for one in known if _is(one, given)])

    def _listVirtualMachines(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        if "id" in given and given["id"] not in self.vms:
            raise absent(given["id"])
        wanted = given.get("name", "")
        return _found(
            "virtualmachine",
            [
                vm
                for vm in self.vms.values()
                if given.get("id") in (None, vm["id"]) and wanted in vm["name"]
            ],
        )

    def _listVolumes(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        if "id" in given and given["id"] not in self.volumes:
            raise absent(given["id"])
        keys = ("id", "name", "virtualmachineid", "type")
        wanted = {key: given[key] for key in keys if key in given}
        return _found("volume", [v for v in self.volumes.values() if wanted.items() <= v.items()])

    def _listSnapshots(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        found = [one for one in self.snapshots.values() if _is(one, given)]
        return _found("snapshot", found)

    def _queryAsyncJobResult(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return self.jobs[given["jobid"]]

    # -- VMs ------------------------------------------------------------------------------------

    def _deployVirtualMachine(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        self.orders.append(given)
        if given["templateid"] != TEMPLATE:
            raise absent(given["templateid"])
        if any(vm["name"] == given["name"] for vm in self.vms.values()):
            raise refuse(431, f"The vm with hostName {given['name']} already exists")
        nics = []
        for n in itertools.takewhile(
            lambda n: f"iptonetworklist[{n}].networkid" in given, itertools.count()
        ):
            ip = given.get(f"iptonetworklist[{n}].ip") or f"10.9.0.{next(self._numbers)}"
            if any(nic["ipaddress"] == ip for vm in self.vms.values() for nic in vm["nic"]):
                raise refuse(533, f"Unable to acquire the requested IP {ip}")
            nics.append({"ipaddress": ip, "networkid": given[f"iptonetworklist[{n}].networkid"]})
        vm = {
            "id": self._id(),
            "name": given["name"],
            "state": "Starting",
            "zoneid": given["zoneid"],
            "nic": nics,
            "tags": [],
        }
        self.vms[vm["id"]] = vm
        if "diskofferingid" in given:
            self._volume(
                name=f"DATA-{vm['id']}",
                size=int(given["size"]),
                zoneid=vm["zoneid"],
                offering=given["diskofferingid"],
                virtualmachineid=vm["id"],
            )

        def finish() -> dict[str, Any]:
            if self.full:
                vm["state"] = "Error"
                raise refuse(533, "Unable to create a deployment for the VM")
            vm["state"] = "Running"
            return {"virtualmachine": dict(vm)}

        return self._job(finish, id=vm["id"])

    def _destroyVirtualMachine(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        vm = self._vm(given["id"])
        own = [one for one in given.get("volumeids", "").split(",") if one]
        vm["state"] = "Stopping"

        def finish() -> dict[str, Any]:
            for volume in list(self.volumes.values()):
                if volume.get("virtualmachineid") == vm["id"]:
                    del volume["virtualmachineid"]
                    if volume["id"] in own:
                        del self.volumes[volume["id"]]
            vm["state"] = "Destroyed"
            if given["expunge"] == "true":
                self.vms.pop(vm["id"], None)
            return {"virtualmachine": dict(vm)}

        return self._job(finish)

    def _rebootVirtualMachine(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        vm = self._vm(given["id"])
        return self._job(lambda: {"virtualmachine": dict(vm)})

    def _startVirtualMachine(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        vm = self._vm(given["id"])
        return self._job(lambda: vm.update(state="Running") or {"virtualmachine": dict(vm)})

    # -- volumes --------------------------------------------------------------------------------

    def _createVolume(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        volume = self._volume(
            name=given["name"],
            size=int(given["size"]),
            zoneid=given["zoneid"],
            offering=given["diskofferingid"],
        )
        return self._job(lambda: {"volume": dict(volume)}, id=volume["id"])

    def _deleteVolume(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        volume = self._find(self.volumes, given["id"])
        if volume.get("virtualmachineid"):
            raise refuse(431, "Please specify a volume that is not attached to any VM.")
        del self.volumes[volume["id"]]
        return {"success": True}

    def _attachVolume(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        volume, vm = self._find(self.volumes, given["id"]), self._vm(given["virtualmachineid"])

        def finish() -> dict[str, Any]:
            if volume.get("virtualmachineid"):
                raise refuse(431, "Please specify a volume that is not attached to any VM.")
            if volume["zoneid"] != vm["zoneid"]:
                raise refuse(431, "The volume is in another zone")
            volume.update(virtualmachineid=vm["id"], state="Ready")
            return {"volume": dict(volume)}

        return self._job(finish)

    def _detachVolume(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        volume = self._find(self.volumes, given["id"])

        def finish() -> dict[str, Any]:
            if not volume.get("virtualmachineid"):
                raise refuse(431, "The specified volume is not attached to a VM.")
            del volume["virtualmachineid"]
            return {"volume": dict(volume)}

        return self._job(finish)

    def _resizeVolume(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        volume = self._find(self.volumes, given["id"])
        if int(given["size"]) * _GB < volume["size"]:
            raise refuse(431, "Going from existing size would shrink the volume")
        size = int(given["size"]) * _GB
        return self._job(lambda: volume.update(size=size) or {"volume": dict(volume)})

    def _createSnapshot(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        self._find(self.volumes, given["volumeid"])
        snapshot = {"id": self._id(), "name": given["name"], "volumeid": given["volumeid"]}
        self.snapshots[snapshot["id"]] = snapshot
        return self._job(lambda: {"snapshot": snapshot}, id=snapshot["id"])

    def _deleteSnapshot(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        self._find(self.snapshots, given["id"])
        return self._job(lambda: self.snapshots.pop(given["id"], None) and {"success": True})

    # -- tags -----------------------------------------------------------------------------------

    def _createTags(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        tags = self._tagged(given).setdefault("tags", [])
        there = {one["key"] for one in tags}
        new = [
            {"key": key, "value": given[name.replace(".key", ".value")]}
            for name, key in given.items()
            if name.endswith(".key")
        ]
        if there & {one["key"] for one in new}:
            raise refuse(431, "tag already exists")
        return self._job(lambda: tags.extend(new) or {"success": True})

    def _deleteTags(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        tags = self._tagged(given)["tags"]
        keys = {value for name, value in given.items() if name.endswith(".key")}

        def finish() -> dict[str, Any]:
            tags[:] = [one for one in tags if one["key"] not in keys]
            return {"success": True}

        return self._job(finish)

    def _tagged(self, given: dict[str, str]) -> dict[str, Any]:
        kinds = {"UserVm": self.vms, "Volume": self.volumes, "Snapshot": self.snapshots}
        return self._find(kinds[given["resourcetype"]], given["resourceids"])

    # -- how ------------------------------------------------------------------------------------

    def _id(self) -> str:
        return str(uuid.UUID(int=next(self._numbers) << 80, version=4))

    def _vm(self, given: str) -> dict[str, Any]:
        return self._find(self.vms, given)

    def _find(self, things: dict[str, dict[str, Any]], given: str) -> dict[str, Any]:
        if given not in things:
            raise absent(given)
        return things[given]

    def _volume(self, *, name: str, size: int, zoneid: str, offering: str, **more: str) -> dict:
        volume = {
            "id": self._id(),
            "name": name,
            "size": size * _GB,
            "zoneid": zoneid,
            "type": "DATADISK",
            "state": "Allocated",
            "diskofferingid": offering,
            "tags": [],
            **more,
        }
        self.volumes[volume["id"]] = volume
        return volume

    def _job(self, finish: Callable[[], Any], **more: str) -> dict[str, Any]:
        job: dict[str, Any] = {"jobid": self._id(), "jobstatus": 0}
        self.jobs[job["jobid"]] = job

        def done() -> None:
            try:
                job.update(jobresult=finish() or {}, jobstatus=1)
            except Refused as refused:
                result = next(iter(refused.answer.body.values()))
                job.update(jobresult=result, jobstatus=2, jobresultcode=530)

        self.later(done)
        return {"jobid": job["jobid"], **more}


def _found(key: str, things: list[dict[str, Any]]) -> dict[str, Any]:
    return {"count": len(things), key: [dict(one) for one in things]} if things else {}


def _is(thing: dict[str, Any], given: dict[str, str]) -> bool:
    return all(given.get(key) in (None, thing[key]) for key in ("id", "name"))


def _signature(given: dict[str, str]) -> str:
    parts = sorted((k.lower(), quote(v, safe="*[]-_.").lower()) for k, v in given.items())
    text = "&".join(f"{key}={value}" for key, value in parts)
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode()
