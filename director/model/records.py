"""Rows the director keeps that are neither instances, tasks nor events."""

from __future__ import annotations

from dataclasses import dataclass, field

from director.model.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRecord:
    """One version of a config. ``content`` is the text as sent; times are epoch seconds."""

    id: int
    type: str
    name: str
    content: str = field(repr=False)
    created_at: float = 0.0
    current: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment row. ``manifest`` is the text as last submitted successfully (None before the
    first success); ``releases`` and ``stemcells`` are (name, version) pairs then in use."""

    name: str
    manifest: str | None = field(default=None, repr=False)
    cloud_config_ids: tuple[int, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()
    stemcells: tuple[tuple[str, str], ...] = ()
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRecord:
    """One address given out; unique over all deployments of a director.

    ``instance_id`` is None for a compilation VM, whose ``owner`` is its agent id.
    """

    network: str
    ip: str
    deployment: str
    instance_id: InstanceId | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableRecord:
    """One version of a generated or given credential; ``sealed`` is the encrypted JSON value.

    ``name`` is absolute: ``/<director>/<deployment>/<name>``. ``options`` digests what it was
    generated from.
    """

    id: str
    name: str
    deployment: str
    type: str
    sealed: bytes = field(repr=False)
    options: str = ""
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """A held lock: ``lock:deployment:cf``, by which task, until when (epoch seconds)."""

    name: str
    task_id: int
    owner: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """The plan a task made, as text and as JSON, to be read later."""

    task_id: int
    deployment: str
    text: str
    created_at: float = 0.0
