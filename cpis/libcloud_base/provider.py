"""A cloud as :class:`~cpis.libcloud_base.cpi.LibcloudCpi` sees it: values, and what it can do.

A ``Provider`` is a value whose fields are functions, not a class to inherit from. A cloud on
libcloud begins with ``standard(...)``, in which each is written over libcloud's standard API, and
replaces those it can do better: ``dataclasses.replace(standard(...), vm_named=...)``. What is there
and what is replaced then stands in one expression, and types are checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpis.contract import Json, Networks
from cpis.libcloud_base.calls import Calls
from cpis.properties import Schema, object_schema
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

MB_PER_GB = 1024
_PLAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A VM as the cloud told of it.

    ``running`` says that it booted, ``broken`` that waiting will not make it boot. ``addresses``
    are the private ones, in the order of the networks it was made with. ``thing`` is what the
    provider's own functions know it by.
    """

    cid: VmCid
    running: bool
    broken: bool = False
    addresses: tuple[str, ...] = ()
    thing: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk as the cloud told of it; ``holder`` is the VM it is attached to."""

    cid: DiskCid
    size_gb: int
    holder: VmCid | None = None
    ready: bool = True
    thing: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A size of VMs on offer; ``rank`` orders by preference where several fit, low first."""

    name: str
    cpu: float
    ram_mb: int
    rank: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedVm:
    """What ``create_vm`` was asked for, checked. ``name`` follows from the agent id alone."""

    name: str
    agent_id: AgentId
    stemcell: StemcellCid
    properties: Json
    networks: Networks
    user_data: str = field(repr=False)
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDisk:
    """What ``create_disk`` was asked for, checked; ``near`` is the VM it will be attached to."""

    name: str
    size_gb: int
    properties: Json
    near: Vm | None = None


def nothing(*_: Any) -> None:
    """Do nothing, where a cloud keeps no labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What one cloud can do, each a function that asks through ``calls`` and raises CloudError.

    Functions that look return None for what is not there. Those that act return when the cloud
    has done it. Before it raises, ``LibcloudCpi`` looks whether a failed act was done all the same.

    ``unique_names``: the cloud refuses a second thing of one name with ``TakenAlready``, so that
    nothing need be looked up before it is made. ``create_vm`` and ``create_disk`` may return what
    they made, to save looking it up. ``delete_vm`` leaves persistent disks free, and removes all
    else that ``create_vm`` made. ``device`` says where a VM finds a disk (see ``Cpi.attach_disk``).
    ``same_kind`` tells whether a disk is of the kind that disk properties ask for. ``grow`` is None
    where disks cannot. ``size_properties`` turns a size and MiB of ephemeral disk into a VM's
    properties.
    """

    title: str
    calls: Calls[Any]
    stemcell_formats: tuple[str, ...]
    stemcell: Callable[[Json], StemcellCid]
    vm: Callable[[VmCid], Vm | None]
    vm_named: Callable[[str], Vm | None]
    disk: Callable[[DiskCid], Disk | None]
    disk_named: Callable[[str], Disk | None]
    disks_of: Callable[[Vm], Sequence[DiskCid]]
    create_vm: Callable[[WantedVm], Vm | None]
    delete_vm: Callable[[Vm], None]
    reboot_vm: Callable[[Vm], None]
    create_disk: Callable[[WantedDisk], Disk | None]
    delete_disk: Callable[[Disk], None]
    attach: Callable[[Vm, Disk], None]
    detach: Callable[[Vm, Disk], None]
    snapshot: Callable[[Disk, str, Mapping[str, str]], SnapshotCid]
    delete_snapshot: Callable[[SnapshotCid], None]
    device: Callable[[Vm, Disk], str]
    sizes: Callable[[], Sequence[Size]]
    size_properties: Callable[[Size, int], Json]
    grow: Callable[[Disk, int], None] | None = None
    same_kind: Callable[[Disk, Json], bool] = lambda _disk, _properties: True
    label_vm: Callable[[Vm, Mapping[str, str]], None] = nothing
    label_disk: Callable[[Disk, Mapping[str, str]], None] = nothing
    console: Callable[[Vm], str] = lambda _vm: ""
    unique_names: bool = False
    vm_schema: Schema = field(default_factory=lambda: object_schema({}))
    network_schema: Schema = field(default_factory=lambda: object_schema({}))
    disk_schema: Schema = field(default_factory=lambda: object_schema({}))
    wait_s: float = 600.0


def name_of(kind: str, text: str) -> str:
    """Return the name of the thing that an intent makes: always the same, and a DNS label.

    A UUID stays readable in it; what no DNS label may hold is hashed.
    """
    if _PLAIN.fullmatch(text):
        return f"{kind}-{text}"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def gb_of(size_mb: int) -> int:
    """Return a size in GiB, rounded up."""
    return -(-size_mb // MB_PER_GB)
