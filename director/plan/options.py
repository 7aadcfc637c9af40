"""What an operator asks for beside the manifest: flags of one deploy or change request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from director.model.amounts import Amount
from director.model.ids import InstanceId
from director.model.instances import DesiredState


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The flags of one plan; without any, a plain deploy of an existing deployment.

    ``first_deploy``: no manifest was ever deployed under this name. ``fix`` recreates VMs that do
    not answer. ``state_changes`` are new desired states, by instance (a restart or recreate that
    shall also start a stopped instance gives STARTED here too). ``canaries`` and ``max_in_flight``
    go over every group's own.
    """

    first_deploy: bool = False
    fix: bool = False
    recreate: frozenset[InstanceId] = frozenset()
    restart: frozenset[InstanceId] = frozenset()
    state_changes: Mapping[InstanceId, DesiredState] = field(default_factory=dict)
    recreate_persistent_disks: bool = False
    canaries: Amount | None = None
    max_in_flight: Amount | None = None
