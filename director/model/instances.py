"""Instances: as wanted, as recorded, and as found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from director.model.ids import AgentId, DiskCid, InstanceId, VmCid

if TYPE_CHECKING:
    # Every command reads records; only some read manifests.
    from director.model.manifest import Json


class DesiredState(StrEnum):
    """What an operator wants an instance to do; it outlives deploys."""

    STARTED = "started"
    STOPPED = "stopped"
    DETACHED = "detached"


class Reach(StrEnum):
    """From where the director reaches its VMs: from their own networks, or from outside."""

    PRIVATE = "private"
    VIP = "vip"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """An instance's place on one network; ``ip`` is None where the cloud picks it."""

    name: str
    type: str
    ip: str | None = None
    netmask: str | None = None
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    cloud_properties: Json = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether the address is the instance's until it is deleted; else it is the cloud's."""
        return self.type != "dynamic" and self.ip is not None

    def to_cpi(self) -> dict[str, Any]:
        """Return the network in the shape the CPI protocol gives it."""
        shape: dict[str, Any] = {"type": self.type, "cloud_properties": dict(self.cloud_properties)}
        if self.type == "vip":
            return {**shape, "ip": self.ip}
        for key in ("ip", "netmask", "gateway"):
            value = getattr(self, key)
            if value is not None:
                shape[key] = value
        shape["dns"] = list(self.dns)
        shape["default"] = list(self.default)
        return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A persistent disk as wanted; ``type`` is the disk type's name, or empty for a bare size."""

    size_mb: int
    type: str = ""
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StemcellRef:
    """Which stemcell a VM is made from."""

    name: str
    version: str
    os: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDigests:
    """What a job is made of, as digests, so that a change can be named without showing a value.

    ``templates`` digests the rendered files (empty before rendering); ``properties`` maps each
    dotted property name to a keyed digest of its value, ``links`` each link name to one of what the
    job sees of it.
    """

    name: str
    release: str
    fingerprint: str
    templates: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRef:
    """A package an instance needs at run time; name, fingerprint and dependency key identify it."""

    name: str
    release: str
    fingerprint: str
    dependency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """Everything that decides what a VM is and what runs on it. Holds no secret.

    ``cpi`` is the name of its AZ's CPI; empty is the default one.
    """

    id: InstanceId
    deployment: str
    group: str
    index: int
    az: str | None
    bootstrap: bool
    lifecycle: str
    stemcell: StemcellRef
    vm_type: str
    cloud_properties: Json
    env: Json
    networks: tuple[NetworkSpec, ...]
    jobs: tuple[JobDigests, ...]
    packages: tuple[PackageRef, ...]
    disk: DiskSpec | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    cpi: str = ""

    @property
    def name(self) -> str:
        """The name operators see: ``group/uuid``."""
        return f"{self.group}/{self.id}"

    @property
    def label(self) -> str:
        """The name event lines show: ``group/uuid (index)``."""
        return f"{self.group}/{self.id} ({self.index})"

    @property
    def address(self) -> str | None:
        """The address others use: that of the default-gateway network, else of the first."""
        for network in self.networks:
            if "gateway" in network.default:
                return network.ip
        return self.networks[0].ip if self.networks else None

    def with_addresses(self, given: Mapping[str, str]) -> InstanceSpec:
        """Return the spec with the addresses the cloud picked (network name to address)."""
        return replace(
            self,
            networks=tuple(
                replace(n, ip=given.get(n.name)) if n.type == "dynamic" else n
                for n in self.networks
            ),
        )


def spec_to_json(spec: InstanceSpec) -> dict[str, Any]:
    """Return ``spec`` as plain JSON data, to be stored."""
    return asdict(spec)


def spec_from_json(data: Mapping[str, Any]) -> InstanceSpec:
    """Return the spec stored by :func:`spec_to_json`."""
    disk = data.get("disk")
    return InstanceSpec(
        **{
            **data,
            "stemcell": StemcellRef(**data["stemcell"]),
            "networks": tuple(
                NetworkSpec(**{**n, "dns": tuple(n["dns"]), "default": tuple(n["default"])})
                for n in data["networks"]
            ),
            "jobs": tuple(JobDigests(**j) for j in data["jobs"]),
            "packages": tuple(PackageRef(**p) for p in data["packages"]),
            "disk": DiskSpec(**disk) if disk else None,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedVm:
    """A VM row. ``cid`` is None from the moment the intent is recorded until the cloud answered.

    ``host_public_key`` is the SSH host key the director made for it (OpenSSH public key text), or
    the first one it showed; empty while that one was not seen. ``login_user`` is who logs in.
    ``networks`` are what the cloud gave, by network name: ``{"default": {"ip": ...}}``.
    ``instance_id`` is None for a compilation VM.
    """

    agent_id: AgentId
    deployment: str
    cid: VmCid | None = None
    instance_id: InstanceId | None = None
    cpi: str = ""
    stemcell: str = ""
    host_public_key: str = ""
    login_user: str = "root"
    networks: Json = field(default_factory=dict)
    created_at: float | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """The VM's addresses by network."""
        return {name: str(n["ip"]) for name, n in self.networks.items() if n.get("ip")}

    @property
    def ips(self) -> tuple[str, ...]:
        return tuple(self.addresses.values())

    def address(self, reach: Reach = Reach.PRIVATE) -> str | None:
        """Return the address at which the VM is reached, or None where it has none.

        It is that of the network with the default gateway, else that of the first one. From outside
        (``Reach.VIP``) it is the vip address if there is one, else one a network calls its
        ``public_ip``, else the same.
        """
        networks = [n for n in self.networks.values() if isinstance(n, Mapping)]
        networks.sort(key=lambda n: "gateway" not in (n.get("default") or ()))
        inside = [n["ip"] for n in networks if n.get("ip") and n.get("type") != "vip"]
        vips = [n["ip"] for n in networks if n.get("ip") and n.get("type") == "vip"]
        public = [n["public_ip"] for n in networks if n.get("public_ip")]
        ranked = [*vips, *public, *inside] if reach is Reach.VIP else [*inside, *vips]
        return str(ranked[0]) if ranked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDisk:
    """A disk row. ``cid`` is None while only the intent (``token``) is recorded.

    ``active`` is true for the one disk an instance uses; ``orphaned_at`` is set once the disk
    belongs to nobody. ``instance_name`` (``group/uuid``) outlives the instance.
    """

    token: str
    deployment: str
    instance_name: str
    size_mb: int
    cid: DiskCid | None = None
    instance_id: InstanceId | None = None
    az: str | None = None
    cpi: str = ""
    type: str = ""
    cloud_properties: Json = field(default_factory=dict)
    active: bool = False
    orphaned_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInstance:
    """An instance row with its VM and disks.

    ``spec`` is the last one applied completely, or, where its VM was made after that, the one the
    VM was made for, without jobs and packages; None before the first. ``dirty`` is true while an
    update has begun and not completed, so that the next plan does it again.
    """

    id: InstanceId
    deployment: str
    group: str
    index: int
    az: str | None = None
    bootstrap: bool = False
    state: DesiredState = DesiredState.STARTED
    ignore: bool = False
    dirty: bool = False
    spec: InstanceSpec | None = None
    vm: RecordedVm | None = None
    disks: tuple[RecordedDisk, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.group}/{self.id}"

    @property
    def label(self) -> str:
        return f"{self.group}/{self.id} ({self.index})"

    @property
    def active_disk(self) -> RecordedDisk | None:
        for disk in self.disks:
            if disk.active and disk.cid is not None:
                return disk
        return None


class Found(StrEnum):
    """What looking at an instance's VM showed."""

    RESPONSIVE = "responsive"
    UNRESPONSIVE = "unresponsive"
    MISSING = "missing"
    NO_VM = "no_vm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualInstance:
    """A recorded instance and what was found of it just now; ``why`` explains a bad finding.

    ``job_state`` is what the machine said of its jobs (running, starting, failing or stopped), or
    empty where nobody asked: then only the recorded state counts.
    """

    recorded: RecordedInstance
    found: Found
    why: str = ""
    job_state: str = ""
