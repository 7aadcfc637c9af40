"""A deployment with every name looked up; still no instance placed and no secret in it.

Values that come from variables stay ``((placeholders))`` here. They are filled in where they are
used and nowhere before: when templates are rendered and when a CPI is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.model.configs import Az, CloudConfig, Compilation, CpiConfig, Network
from director.model.instances import DiskSpec
from director.model.manifest import (
    Json,
    MigratedFrom,
    NetworkUse,
    UpdatePolicy,
    Variable,
    VmResources,
)
from director.model.release import Job, Release
from director.model.source import Path, Source
from director.model.stemcell import Stemcell


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLink:
    """A consumed link and who provides it.

    ``group`` and ``job`` name the provider; both are None for a manual link (``manual`` holds its
    ``instances``, ``address`` and ``properties``). ``network`` is the provider's network whose
    addresses are told; ``properties`` are the provider's exported ones, nested, placeholders kept.
    """

    name: str
    type: str
    group: str | None = None
    job: str | None = None
    network: str | None = None
    properties: Json = field(default_factory=dict)
    manual: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedJob:
    """A job of a group. ``properties`` are bound: only what the spec declares, nested by dots,
    manifest values over the spec's defaults, hash keys sorted. A link absent from ``links`` is
    blocked or optional and unfilled.
    """

    job: Job
    release: Release
    properties: Json = field(default_factory=dict)
    links: Mapping[str, ResolvedLink] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.job.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedGroup:
    """An instance group with its stemcell, networks and jobs found.

    ``cloud_properties`` and ``stemcells`` are per AZ name (None is the key where the group names no
    AZ); with ``vm_resources`` they lack what the CPI calculates from these until it was asked.
    All stemcells have one operating system and version; each is the copy on its AZ's CPI.
    ``path`` is the group's place in the manifest.
    """

    name: str
    path: Path
    instances: int
    lifecycle: str
    jobs: tuple[ResolvedJob, ...]
    stemcells: Mapping[str | None, Stemcell]
    vm_type: str
    cloud_properties: Mapping[str | None, Json]
    networks: tuple[tuple[NetworkUse, Network], ...]
    update: UpdatePolicy
    vm_resources: VmResources | None = None
    azs: tuple[str, ...] = ()
    vm_extensions: tuple[str, ...] = ()
    disk: DiskSpec | None = None
    env: Json = field(default_factory=dict)
    migrated_from: tuple[MigratedFrom, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def stemcell(self) -> Stemcell:
        """The first AZ's stemcell: packages are compiled for the system it has."""
        return next(iter(self.stemcells.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDeployment:
    """A deployment as it shall be, before instances are placed.

    ``stemcells`` are all copies, on all CPIs, of the version an alias means; ``cpis`` says what the
    CPIs are called that VMs and disks were made with. ``uses`` says where each variable is first
    used. ``warnings`` are what an operator should know about the manifest, though it can be
    deployed.
    """

    name: str
    groups: tuple[ResolvedGroup, ...]
    releases: Mapping[str, Release]
    stemcells: Mapping[str, tuple[Stemcell, ...]]
    cloud: CloudConfig
    cpis: CpiConfig = field(default_factory=CpiConfig)
    variables: tuple[Variable, ...] = ()
    features: Mapping[str, bool] = field(default_factory=dict)
    sources: Mapping[Path, Source] = field(default_factory=dict, compare=False, repr=False)
    uses: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def azs(self) -> Mapping[str, Az]:
        return self.cloud.azs

    @property
    def compilation(self) -> Compilation | None:
        return self.cloud.compilation

    def group(self, name: str) -> ResolvedGroup:
        """Return the group called ``name``; raises KeyError."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)


Values = Mapping[str, Any]
"""Variable values by the name a manifest uses (``db_password``), ready to be filled in."""
