"""Tags of VMs, disks and snapshots: what metadata becomes."""

from __future__ import annotations

from collections.abc import Mapping

from cpis.cloudstack.api import Api, Thing
from cpis.libcloud_base.outcome import act

_LISTED = {
    "UserVm": ("listVirtualMachines", "virtualmachine"),
    "Volume": ("listVolumes", "volume"),
    "Snapshot": ("listSnapshots", "snapshot"),
}
"""How what has tags is read, by the name that tags call it."""


def set_tags(api: Api, kind: str, thing: Thing, metadata: Mapping[str, str]) -> None:
    """Set tags of a ``UserVm``, ``Volume`` or ``Snapshot``; others that are there stay."""
    wanted = {key: str(value) for key, value in metadata.items() if value != ""}
    command, key = _LISTED[kind]

    def tagged() -> bool:
        now = api.one(command, key, id=thing["id"])
        return now is not None and wanted.items() <= _tags(now).items()

    act(lambda: _set(api, kind, thing, wanted), tagged)


def _set(api: Api, kind: str, thing: Thing, wanted: Mapping[str, str]) -> None:
    """Set tags; CloudStack refuses a key that is there, so that it is deleted first."""
    there = _tags(thing)
    new = {key: value for key, value in wanted.items() if there.get(key) != value}
    place = {"resourceids": thing["id"], "resourcetype": kind}
    stale = [key for key in new if key in there]
    if stale:
        keys = {f"tags[{n}].key": key for n, key in enumerate(stale)}
        api.job("labelling", "deleteTags", {**place, **keys})
    if new:
        keys = {f"tags[{n}].key": key for n, key in enumerate(new)}
        values = {f"tags[{n}].value": value for n, value in enumerate(new.values())}
        api.job("labelling", "createTags", {**place, **keys, **values})


def _tags(thing: Thing) -> dict[str, str]:
    return {str(one["key"]): str(one.get("value")) for one in thing.get("tags") or ()}
