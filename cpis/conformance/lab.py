"""Where checks work: a CPI, what to feed it, and the things made, which all go at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from cpis.contract import CloudError, Cpi, Networks, NotImplementedByCpi
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

LARGEST_FLEET = 6
MOST_DISKS = 8
_DELETE_TRIES = 3


class NotConforming(Exception):
    """A CPI does not do what the contract says; the text names the broken promise."""


class DoesNotApply(Exception):
    """A check has nothing to look at here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the checks of one CPI are given.

    ``networks`` returns the networks of the nth VM of a run (from 0), ``dynamic`` those of a VM
    whose address the cloud picks, or None where it cannot. ``again`` builds the same CPI anew, as
    another process would. ``run`` executes a shell command as a user on the VM with these networks,
    waiting for its sshd and verifying its host key; None where VMs are not real.
    ``stemcell_properties`` are those of the image; ``light`` says that it is in the cloud already,
    so that uploading it twice gives one stemcell. ``snapshots_outlive_disks`` is false where a
    disk that has snapshots cannot be deleted. ``vms`` is how many VMs there may be at once, from 2;
    the nth VM has an ``n`` below it. ``run_id`` is part of every agent id and disk token, so that
    runs in one account stay apart. ``boot_timeout_s``: how long a VM may take to reboot.
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
    vms: int = LARGEST_FLEET
    run_id: str = ""
    boot_timeout_s: float = 60.0


def agent_of(run_id: str, check: str, suffix: str | int) -> AgentId:
    """Return the agent id of a check's VM, or the token of its disk: good as a host name too."""
    words = ("conformance", *([run_id] if run_id else []), check.replace("_", "-"), str(suffix))
    return AgentId("-".join(words))


class Lab:
    """A context manager for one check; removes all that was made through it.

    It notes what it is about to make before it asks the CPI, so that what a failed call left
    behind is found and removed as well. What cannot be removed is told with the check's outcome.
    """

    def __init__(self, cpi: Cpi, given: Given, stemcell: StemcellCid, name: str) -> None:
        self.cpi = cpi
        self.given = given
        self.stemcell = stemcell
        self._name = name
        self._vms: dict[AgentId, VmCid | None] = {}
        self._tokens: dict[str, DiskCid | None] = {}
        self._disks: dict[DiskCid, None] = {}
        self._snapshots: dict[SnapshotCid, None] = {}
        self._stemcells: dict[StemcellCid, None] = {}

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        problems = list(self._remove_all())
        if not problems:
            return
        told = f"could not be removed: {'; '.join(problems)}"
        if error is None:
            raise NotConforming(told)
        error.add_note(told)

    def agent(self, suffix: str | int = 0) -> AgentId:
        """Return an agent id of this check's own."""
        return agent_of(self.given.run_id, self._name, suffix)

    def token(self, suffix: str | int = 0) -> str:
        """Return a disk's token of this check's own."""
        return self.agent(f"d{suffix}")

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
        self._vms.setdefault(agent, None)
        # By position, as a director calls it.
        cid, networks = self.cpi.create_vm(*arguments.values())
        self._vms[agent] = cid
        return cid, networks

    def disk(
        self, size_mb: int | None = None, *, token: str | None = None, near: VmCid | None = None
    ) -> DiskCid:
        """Create a disk: with a token of its own, with the given one, or (``""``) without."""
        if token is None:
            token = self.token(len(self._tokens))
        if token:
            self._tokens.setdefault(token, None)
        properties = self.given.disk_cloud_properties
        cid = self.cpi.create_disk(size_mb or self.given.disk_mb, properties, near, token=token)
        self._disks[cid] = None
        if token:
            self._tokens[token] = cid
        return cid

    def snapshot(self, disk: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        """Take a snapshot."""
        cid = self.cpi.snapshot_disk(disk, metadata)
        self._snapshots[cid] = None
        return cid

    def another_stemcell(self) -> StemcellCid:
        """Upload the image once more."""
        cid = self.cpi.create_stemcell(self.given.image_path, self.given.stemcell_properties)
        if cid != self.stemcell:
            self._stemcells[cid] = None
        return cid

    def run(self, networks: Networks, command: str, user: str = "root") -> str:
        """Run a command on a VM; only in checks that need real VMs."""
        assert self.given.run is not None
        return self.given.run(networks, user, command)

    def _remove_all(self) -> Iterable[str]:
        """Remove everything, VMs first because they hold disks; yield what went wrong."""
        cpi = self.cpi
        yield from _each(cpi.delete_snapshot, self._snapshots)
        yield from _each(self._delete_vm, self._vms.items())
        yield from _each(self._delete_unheard_disk, [t for t, c in self._tokens.items() if not c])
        yield from _each(cpi.delete_disk, self._disks)
        yield from _each(cpi.delete_stemcell, self._stemcells)

    def _delete_vm(self, made: tuple[AgentId, VmCid | None]) -> None:
        agent, cid = made
        found = cid
        try:
            found = self.cpi.find_vm(agent) or cid
        except NotImplementedByCpi:
            if cid is None:
                return
        if found is not None:
            self.cpi.delete_vm(found)

    def _delete_unheard_disk(self, token: str) -> None:
        try:
            found = self.cpi.find_disk(token)
        except NotImplementedByCpi:
            return
        if found is not None:
            self.cpi.delete_disk(found)


def require(condition: bool, promise: str) -> None:
    """Raise NotConforming unless the promise was kept."""
    if not condition:
        raise NotConforming(promise)


def require_finding(lab: Lab) -> None:
    """End a check that needs ``find_vm`` or ``find_disk`` where the CPI says it has none."""
    if not lab.cpi.info().finds:
        raise DoesNotApply("the CPI says that it cannot find what an earlier call made")


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


def _each(delete: Callable[[Any], object], things: Iterable[Any]) -> list[str]:
    """Delete things, several at once because clouds are slow; return what went wrong."""

    def surely(thing: Any) -> str:
        for last in (*[False] * (_DELETE_TRIES - 1), True):
            try:
                delete(thing)
                return ""
            except CloudError as error:
                if last or not error.ok_to_retry:
                    return str(error)
            except Exception as error:  # noqa: BLE001 -- the rest must be removed all the same
                return f"{type(error).__name__}: {error}"
        return ""

    found = list(things)
    if len(found) < 2:
        return [problem for problem in map(surely, found) if problem]
    with ThreadPoolExecutor(min(len(found), LARGEST_FLEET)) as threads:
        return [problem for problem in threads.map(surely, found) if problem]
