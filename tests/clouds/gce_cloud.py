"""Compute Engine's REST API, as far as the GCE CPI needs it, with its errors and operations."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from clouds.emulated import Answer, Emulated, Refused, Request
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

PROJECT = "project-1"
ZONES = ("europe-west1-b", "europe-west1-c")
IMAGE = "projects/debian-cloud/global/images/debian-12-v1"
FAMILY = "projects/debian-cloud/global/images/family/debian-12"
_HOST = "https://www.googleapis.com/compute/v1"
_TOKEN = "ya29.token"


def refuse(status: int, reason: str, message: str) -> Refused:
    error = {"message": message, "domain": "global", "reason": reason}
    body = {"error": {"code": status, "message": message, "errors": [error]}}
    return Refused(Answer(body=body, status=status))


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OperationFailed(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class GceCloud(Emulated):
    """One project. ``instances``, ``disks`` and ``snapshots`` are the API's own objects by name."""

    def __init__(self) -> None:
        super().__init__()
        self.key = _key()
        self.instances: dict[str, dict[str, Any]] = {}
        self.disks: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.resets: list[str] = []
        self.empty_pages = 0
        self.unreachable: str | None = None
        self.exhausted = False
        self._numbers = itertools.count(1)

    @property
    def json_key(self) -> str:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        email = "director@project-1.iam.gserviceaccount.com"
        return json.dumps({"client_email": email, "private_key": pem.decode()})

    def action_of(self, request: Request) -> str:
        path = request.path.partition(f"/projects/{PROJECT}/")[2] or request.path
        path = re.sub(r"zones/[^/]+/", "", path).removeprefix("global/")
        parts = path.split("/")
        verb = {"POST": "insert", "DELETE": "delete"}.get(request.method, "get")
        if parts[0] == "aggregated":
            return f"{parts[1]}.aggregatedList"
        if len(parts) > 2 and parts[0] in ("instances", "disks"):
            verb = parts[2]
        return f"{parts[0]}.{verb}" if parts[0] else path

    def throttled(self) -> Answer:
        return refuse(403, "rateLimitExceeded", "Quota exceeded for 'Queries'").answer

    def handle(self, request: Request) -> Answer:
        if request.path == "/o/oauth2/token":
            return Answer(body=self._token(request))
        if request.headers.get("authorization") != f"Bearer {_TOKEN}":
            raise refuse(401, "authError", "Invalid Credentials")
        project, _, path = request.path.removeprefix("/compute/v1/projects/").partition("/")
        if project != PROJECT:
            return Answer(body=self._image(f"projects/{project}/{path}"))
        parts = path.split("/")
        if parts[0] == "aggregated":
            return Answer(body=self._aggregated(parts[1], request.query))
        if parts[:2] == ["global", "operations"]:
            return Answer(body=self.operations[parts[2]])
        if parts[:2] in (["global", "images"], ["global", "snapshots"]):
            return Answer(body=self._global(request, parts))
        zone = parts[1]
        if zone not in ZONES:
            raise refuse(404, "notFound", f"The resource '{path}' was not found")
        return Answer(body=self._zonal(request, zone, parts[2:]))

    # -- requests -------------------------------------------------------------------------------

    def _token(self, request: Request) -> dict[str, Any]:
        form = parse_qs(request.body.decode())
        head, claims, signature = form["assertion"][0].split(".")
        decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))  # noqa: E731
        self.key.public_key().verify(
            decode(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256()
        )
        assert "auth/compute" in json.loads(decode(claims))["scope"]
        return {"access_token": _TOKEN, "expires_in": 3599, "token_type": "Bearer"}

    def _aggregated(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        page = int(query.get("pageToken") or 0)
        if page < self.empty_pages:
            return {"items": {}, "nextPageToken": str(page + 1)}
        wanted = re.fullmatch(r'name="([^"]+)"', query.get("filter", ""))
        items: dict[str, Any] = {}
        for zone in ZONES:
            code = "UNREACHABLE" if zone == self.unreachable else "NO_RESULTS_ON_PAGE"
            found = [
                one
                for one in getattr(self, kind).values()
                if one["zone"].endswith(zone)
                and code != "UNREACHABLE"
                and (wanted is None or one["name"] == wanted[1])
            ]
            items[f"zones/{zone}"] = {kind: found} if found else {"warning": {"code": code}}
        return {"items": items}

    def _global(self, request: Request, parts: list[str]) -> dict[str, Any]:
        if parts[1] == "snapshots" and request.method == "DELETE":
            if parts[2] not in self.snapshots:
                raise refuse(404, "notFound", f"The resource '{parts[2]}' was not found")
            return self._operation(None, lambda: self.snapshots.pop(parts[2]))
        return self._image(f"projects/{PROJECT}/{'/'.join(parts)}")

    def _image(self, path: str) -> dict[str, Any]:
        if path not in (IMAGE, FAMILY):
            raise refuse(404, "notFound", f"The resource '{path}' was not found")
        return {"id": "1", "name": "debian-12-v1", "selfLink": f"{_HOST}/{IMAGE}"}

    def _zonal(self, request: Request, zone: str, parts: list[str]) -> dict[str, Any]:
        kind, name, verb = (*parts, "", "")[:3]
        if kind == "operations":
            return self.operations[name]
        if kind == "machineTypes":
            return {"items": _machine_types()}
        body = json.loads(request.body or b"{}")
        if not name:
            make = {"instances": self._insert_instance, "disks": self._insert_disk}[kind]
            return make(zone, body)
        thing = getattr(self, kind).get(name)
        if thing is None or not thing["zone"].endswith(zone):
            raise refuse(404, "notFound", f"The resource '{kind}/{name}' was not found")
        if request.method == "DELETE":
            delete = {"instances": self._delete_instance, "disks": self._delete_disk}[kind]
            return delete(zone, thing)
        if verb == "serialPort":
            return {"contents": "Booting Linux\nlogin: "}
        if not verb:
            return thing
        act = getattr(self, f"_{verb}")
        return act(zone, thing, body, request.query)

    # -- instances ------------------------------------------------------------------------------

    def _insert_instance(self, zone: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["name"]
        if name in self.instances:
            raise refuse(409, "alreadyExists", f"The resource 'instances/{name}' already exists")
        parameters = body["disks"][0]["initializeParams"]
        if parameters["sourceImage"] != IMAGE:
            raise refuse(404, "notFound", f"The resource '{parameters['sourceImage']}' not found")
        kind = body["machineType"].rsplit("/", 1)[-1]
        if not kind.startswith("custom-") and kind not in {one["name"] for one in _machine_types()}:
            raise refuse(400, "invalid", f"Invalid value for field 'machineType': '{kind}'")
        instance = {
            **body,
            "kind": "compute#instance",
            "id": str(next(self._numbers)),
            "status": "PROVISIONING",
            "zone": f"{_HOST}/projects/{PROJECT}/zones/{zone}",
            "selfLink": f"{_HOST}/projects/{PROJECT}/zones/{zone}/instances/{name}",
            "labelFingerprint": "f0",
        }
        addresses = {n["networkIP"] for i in self.instances.values() for n in _nics(i)}
        self.instances[name] = instance

        def finish() -> None:
            for nic in _nics(instance):
                if nic.get("networkIP") in addresses:
                    del self.instances[name]
                    message = f"IP '{nic['networkIP']}' is already being used by another resource."
                    raise OperationFailed("IP_IN_USE_BY_ANOTHER_RESOURCE", message)
            if self.exhausted:
                del self.instances[name]
                raise OperationFailed("ZONE_RESOURCE_POOL_EXHAUSTED", "The zone has no capacity")
            instance["status"] = "RUNNING"

        for nic in _nics(instance):
            nic.setdefault("networkIP", f"10.132.0.{next(self._numbers)}")
        boot = f"{_HOST}/projects/{PROJECT}/zones/{zone}/disks/{name}"
        instance["disks"] = [{"boot": True, "source": boot, "deviceName": name}]
        return self._operation(zone, finish)

    def _delete_instance(self, zone: str, instance: dict[str, Any]) -> dict[str, Any]:
        instance["status"] = "STOPPING"

        def finish() -> None:
            self.instances.pop(instance["name"], None)
            for disk in self.disks.values():
                disk["users"] = [u for u in disk["users"] if u != instance["selfLink"]]

        return self._operation(zone, finish)

    def _reset(self, zone: str, instance: dict[str, Any], *_: Any) -> dict[str, Any]:
        return self._operation(zone, lambda: self.resets.append(instance["name"]))

    def _start(self, zone: str, instance: dict[str, Any], *_: Any) -> dict[str, Any]:
        return self._operation(zone, lambda: instance.update(status="RUNNING"))

    def _attachDisk(  # noqa: N802 -- Google's word
        self, zone: str, instance: dict[str, Any], body: dict[str, Any], _: Any
    ) -> dict[str, Any]:
        disk = self.disks[body["source"].rsplit("/", 1)[-1]]
        if not disk["zone"].endswith(zone):
            raise refuse(400, "invalid", "The disk is in another zone")
        if disk["users"]:
            message = f"The disk resource '{disk['name']}' is already being used"
            raise refuse(400, "resourceInUseByAnotherResource", message)

        if disk.get("attaching"):
            raise refuse(400, "resourceNotReady", f"The resource '{disk['name']}' is not ready")
        disk["attaching"] = True

        def finish() -> None:
            del disk["attaching"]
            disk["users"] = [instance["selfLink"]]
            instance["disks"].append({**body, "boot": False})

        return self._operation(zone, finish)

    def _detachDisk(  # noqa: N802 -- Google's word
        self, zone: str, instance: dict[str, Any], _: Any, query: dict[str, str]
    ) -> dict[str, Any]:
        device = query["deviceName"]
        found = [one for one in instance["disks"] if one["deviceName"] == device]
        if not found:
            raise refuse(400, "invalid", f"No attached disk found with device name '{device}'")

        def finish() -> None:
            instance["disks"].remove(found[0])
            self.disks[found[0]["source"].rsplit("/", 1)[-1]]["users"] = []

        return self._operation(zone, finish)

    def _setLabels(  # noqa: N802 -- Google's word
        self, zone: str, thing: dict[str, Any], body: dict[str, Any], _: Any
    ) -> dict[str, Any]:
        if body["labelFingerprint"] != thing["labelFingerprint"]:
            raise refuse(412, "conditionNotMet", "Labels fingerprint does not match")
        for text in itertools.chain(*body["labels"].items()):
            if not re.fullmatch(r"[a-z0-9_-]{0,63}", text):
                raise refuse(400, "invalid", f"Invalid value for field 'labels': '{text}'")
        fingerprint = f"f{next(self._numbers)}"
        labels = body["labels"]
        return self._operation(
            zone, lambda: thing.update(labels=labels, labelFingerprint=fingerprint)
        )

    # -- disks ----------------------------------------------------------------------------------

    def _insert_disk(self, zone: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["name"]
        if name in self.disks:
            raise refuse(409, "alreadyExists", f"The resource 'disks/{name}' already exists")
        disk = {
            **body,
            "kind": "compute#disk",
            "status": "CREATING",
            "users": [],
            "zone": f"{_HOST}/projects/{PROJECT}/zones/{zone}",
            "selfLink": f"{_HOST}/projects/{PROJECT}/zones/{zone}/disks/{name}",
            "labelFingerprint": "f0",
        }
        self.disks[name] = disk
        return self._operation(zone, lambda: disk.update(status="READY"))

    def _delete_disk(self, zone: str, disk: dict[str, Any]) -> dict[str, Any]:
        if disk["users"]:
            message = f"The disk resource '{disk['name']}' is already being used"
            raise refuse(400, "resourceInUseByAnotherResource", message)
        return self._operation(zone, lambda: self.disks.pop(disk["name"], None))

    def _resize(self, zone: str, disk: dict[str, Any], body: dict[str, Any], _: Any) -> Any:
        if int(body["sizeGb"]) <= int(disk["sizeGb"]):
            raise refuse(400, "invalid", "The new size must be larger")
        return self._operation(zone, lambda: disk.update(sizeGb=str(body["sizeGb"])))

    def _createSnapshot(  # noqa: N802 -- Google's word
        self, zone: str, disk: dict[str, Any], body: dict[str, Any], _: Any
    ) -> dict[str, Any]:
        if body["name"] in self.snapshots:
            raise refuse(409, "alreadyExists", f"The snapshot '{body['name']}' already exists")
        self.snapshots[body["name"]] = {**body, "sourceDisk": disk["selfLink"]}
        return self._operation(zone, lambda: None)

    # -- operations -----------------------------------------------------------------------------

    def _operation(self, zone: str | None, finish: Callable[[], Any]) -> dict[str, Any]:
        name = f"operation-{next(self._numbers)}"
        operation: dict[str, Any] = {
            "kind": "compute#operation",
            "name": name,
            "operationType": "x",
            "status": "PENDING",
            **({"zone": f"{_HOST}/projects/{PROJECT}/zones/{zone}"} if zone else {}),
        }
        self.operations[name] = operation

        def done() -> None:
            operation["status"] = "DONE"
            try:
                finish()
            except OperationFailed as failed:
                errors = [{"code": failed.code, "message": failed.message}]
                operation["error"] = {"errors": errors}

        self.later(done)
        return dict(operation)


def _nics(instance: dict[str, Any]) -> list[dict[str, Any]]:
    return list(instance["networkInterfaces"])


def _machine_types() -> list[dict[str, Any]]:
    sizes = {
        "n1-standard-1": (1, 3840, {}),
        "e2-medium": (2, 4096, {}),
        "e2-standard-4": (4, 16384, {}),
        "n2-standard-8": (8, 32768, {}),
        "t2a-standard-1": (1, 4096, {"architecture": "ARM64"}),
        "a2-highgpu-1g": (12, 87040, {"accelerators": [{"guestAcceleratorCount": 1}]}),
    }
    return [
        {"name": name, "guestCpus": cpus, "memoryMb": ram_mb, **more}
        for name, (cpus, ram_mb, more) in sizes.items()
    ]
