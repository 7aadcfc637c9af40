"""The plan: immutable records that say what would be done, in which order, and for what reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from director.model.instances import ActualInstance, Found, InstanceSpec
from director.model.manifest import UpdatePolicy
from director.model.release import Package, Release
from director.model.stemcell import Stemcell


class Action(IntEnum):
    """What is done to an instance that stays; the stronger includes the weaker."""

    KEEP = 0
    RECORD = 1
    """Write tags and records; nothing restarts."""
    UPDATE = 2
    """Stop the jobs, install, start again; the VM stays."""
    RECREATE = 3
    """Delete the VM and make another, keeping disk and address."""


class Reason(Enum):
    """Why something is done, with the action it demands. ``text`` continues the instance's name:
    "web/0 has a different stemcell"."""

    NEW = (Action.RECREATE, "is new")
    VM_MISSING = (Action.RECREATE, "has no VM")
    VM_UNRESPONSIVE = (Action.RECREATE, "has a VM that does not answer")
    VM_UNKNOWN = (Action.RECREATE, "has a VM of which nothing is recorded")
    STEMCELL = (Action.RECREATE, "has a different stemcell")
    CLOUD_PROPERTIES = (Action.RECREATE, "has different cloud properties")
    ENV = (Action.RECREATE, "has a different env")
    NETWORK = (Action.RECREATE, "has different networks")
    AZ = (Action.RECREATE, "moves to another AZ")
    CPI = (Action.RECREATE, "moves to another CPI")
    REQUESTED_RECREATE = (Action.RECREATE, "is to be recreated, as asked")
    JOBS = (Action.UPDATE, "has different jobs")
    TEMPLATES = (Action.UPDATE, "has different rendered templates")
    PROPERTIES = (Action.UPDATE, "has different properties")
    LINKS = (Action.UPDATE, "sees different links")
    PACKAGES = (Action.UPDATE, "has different packages")
    DISK = (Action.UPDATE, "has a different persistent disk")
    DIRTY = (Action.UPDATE, "was left half-updated by an earlier task")
    STATE = (Action.UPDATE, "is to change its state")
    REQUESTED_RESTART = (Action.UPDATE, "is to be restarted, as asked")
    TAGS = (Action.RECORD, "has different tags")
    INDEX = (Action.RECORD, "has a different index or bootstrap mark")
    NAMES = (Action.RECORD, "goes by other names")
    SURPLUS = (Action.KEEP, "is no longer wanted")

    @property
    def action(self) -> Action:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A reason and what exactly differs: ``detail`` names the key, never a secret value."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilePackage:
    """Compile one package for one stemcell; its dependencies are compiled by then."""

    release: Release
    package: Package
    stemcell: Stemcell
    dependency_key: str

    @property
    def name(self) -> str:
        return f"{self.package.name}/{self.package.fingerprint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInstance:
    """Stop an instance's jobs, delete its VM, orphan its disk, free its addresses."""

    instance: ActualInstance
    why: tuple[Why, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVm:
    """Give an instance that has no VM one, before the rollout begins (not bounded by
    ``max_in_flight``). The instance's own UpdateInstance follows in its group's rollout."""

    spec: InstanceSpec
    before: ActualInstance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateInstance:
    """Bring one instance to ``spec``. ``before`` is None for a new one.

    ``action`` is the strongest the reasons demand; ``state`` what the instance shall do after.
    ``disk_changes`` is true when the persistent disk is added, replaced or dropped.
    """

    spec: InstanceSpec
    before: ActualInstance | None
    action: Action
    why: tuple[Why, ...]
    state: str = "started"
    disk_changes: bool = False
    canary: bool = False
    restart: bool = False

    @property
    def vm_is_new(self) -> bool:
        """Whether the instance had no VM, so that this plan's CreateVm has made it one by now."""
        return self.before is None or self.before.found in (Found.NO_VM, Found.MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Updates that share one rolling window: never more than ``width`` at once.

    A canary wave that fails stops everything after it.
    """

    az: str | None
    updates: tuple[UpdateInstance, ...]
    width: int
    canary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRollout:
    """One group: first its surplus goes (``delete_width`` at once), then its waves in order.

    With ``azs_together`` the waves of different AZs run side by side (first deploy only).
    """

    group: str
    policy: UpdatePolicy
    deletes: tuple[DeleteInstance, ...] = ()
    delete_width: int = 1
    waves: tuple[Wave, ...] = ()
    azs_together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a deploy would do.

    Order: compile (in dependency order; each when what it needs is there), ``obsolete`` groups'
    instances deleted, ``create`` (all at once), then ``phases`` one after the other, the groups in
    a phase side by side. ``kept`` and ``ignored`` are named so that a reader sees every instance.
    """

    deployment: str
    compile: tuple[CompilePackage, ...] = ()
    obsolete: tuple[DeleteInstance, ...] = ()
    create: tuple[CreateVm, ...] = ()
    phases: tuple[tuple[GroupRollout, ...], ...] = ()
    kept: tuple[InstanceSpec, ...] = ()
    ignored: tuple[InstanceSpec, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether applying the plan would touch nothing in any cloud or on any machine."""
        return not (
            self.compile
            or self.obsolete
            or self.create
            or any(g.deletes or g.waves for phase in self.phases for g in phase)
        )
