"""Where checks work: a CPI, what to feed it, and the things made, which all go at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from cpis.contract import CloudError, Cpi, Networks
from director.model.ids import AgentId, DiskCid, StemcellCid, VmCid


class NotConforming(Exception):
    """A CPI does not do what the contract says; the text names the broken promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the checks of one CPI are given.

    ``networks`` returns the networks of the nth VM of a run (from 0), ``dynamic`` those of a VM
    whose address the cloud picks, or None where it cannot. ``again`` builds the same CPI anew, as
    another process would. ``run`` executes a shell command as a user on the VM with these networks,
    waiting for its sshd and verifying its host key; None where VMs are not real.
    ``stemcell_properties`` are those of the image; ``light`` says that it is in the cloud already,
    so that uploading it twice gives one stemcell. ``snapshots_outlive_disks`` is false where a
    disk that has snapshots cannot be deleted.
    """

    image_path: str
    networks: Callable[[int], Networks]
    env: Mapping[str, Any]
    stemcell_properties: Mapping[str, Any] = field(default_factory=dict)
    light: bool = False
    snapshots_outlive_disks: bool = True
    cloud_properties: Mapping[str, Any] = field(default_factory=dict)
    disk_cloud_properties: Mapping[str, Any] = field(default_factory=dict)
    disk_mb: int = 64
    dynamic: Networks | None = None
    requirements: Mapping[str, Any] = field(
        default_factory=lambda: {"cpu": 1, "ram": 256, "ephemeral_disk_size": 1024}
    )
    again: Callable[[], Cpi] | None = None
    run: Callable[[Networks, str, str], str] | None = None


class Lab:
    """A context manager for one check; removes what :meth:`vm` and :meth:`disk` made."""

    def __init__(self, cpi: Cpi, given: Given, stemcell: StemcellCid, name: str) -> None:
        self.cpi = cpi
        self.given = given
        self.stemcell = stemcell
        self._name = name
        self._made = ExitStack()
        self._count = 0

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._made.close()

    def agent(self, suffix: str | int = 0) -> AgentId:
        """Return an agent id of this check's own."""
        return AgentId(f"conformance-{self._name}-{suffix}")

    def vm(self, n: int = 0, **changes: Any) -> tuple[VmCid, Networks]:
        """Create the nth VM; ``changes`` replace arguments of ``create_vm``."""
        arguments: dict[str, Any] = {
            "agent_id": self.agent(n),
            "stemcell_cid": self.stemcell,
            "cloud_properties": self.given.cloud_properties,
            "networks": self.given.networks(n),
            "disk_cids": [],
            "env": self.given.env,
        }
        arguments.update(changes)
        agent = arguments["agent_id"]
        self._made.callback(lambda: self._delete_vm_of(agent))
        return self.cpi.create_vm(**arguments)

    def disk(self, size_mb: int | None = None, *, token: str = "") -> DiskCid:
        """Create a disk."""
        properties = self.given.disk_cloud_properties
        cid = self.cpi.create_disk(size_mb or self.given.disk_mb, properties, None, token=token)
        # Before the VMs: an attached disk cannot be deleted, so this one waits for theirs.
        self._made.push(lambda *_: self._delete_disk(cid))
        return cid

    def run(self, networks: Networks, command: str, user: str = "root") -> str:
        """Run a command on a VM; only in checks that need real VMs."""
        assert self.given.run is not None
        return self.given.run(networks, user, command)

    def _delete_vm_of(self, agent_id: AgentId) -> None:
        cid = self.cpi.find_vm(agent_id)
        if cid is not None:
            self.cpi.delete_vm(cid)

    def _delete_disk(self, cid: DiskCid) -> None:
        for vm in self._holders(cid):
            self.cpi.delete_vm(vm)
        self.cpi.delete_disk(cid)

    def _holders(self, cid: DiskCid) -> Sequence[VmCid]:
        found = (self.cpi.find_vm(self.agent(n)) for n in range(3))
        return [vm for vm in found if vm is not None and cid in self.cpi.get_disks(vm)]


def require(condition: bool, promise: str) -> None:
    """Raise NotConforming unless the promise was kept."""
    if not condition:
        raise NotConforming(promise)


def require_error(kind: type[CloudError], promise: str, call: Callable[[], Any]) -> CloudError:
    """Raise NotConforming unless ``call`` raises an error of this kind; returns the error."""
    try:
        call()
    except kind as error:
        require(bool(error.what), f"{promise}: the error says nothing")
        return error
    except CloudError as error:
        raise NotConforming(f"{promise}: raised {type(error).__name__}: {error}") from error
    raise NotConforming(f"{promise}: nothing was raised")
