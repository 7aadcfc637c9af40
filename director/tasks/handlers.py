"""Which operation runs which type of task; imported only when one runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import NotSupported

Handler = Callable[[World, TaskRun], str]
"""Runs a task and returns its one-line result; raises DirectorError."""

HANDLERS: Mapping[str, str] = {
    "update_deployment": "director.operations.head_start:deploy",
    "delete_deployment": "director.operations.delete_deployment:delete_deployment",
    "update_release": "director.operations.upload_release:upload_release",
    "delete_release": "director.operations.delete_release:delete_release",
    "update_stemcell": "director.operations.upload_stemcell:upload_stemcell",
    "delete_stemcell": "director.operations.delete_stemcell:delete_stemcell",
    "vms": "director.operations.vms:vms",
    "ssh": "director.operations.ssh:ssh",
    "fetch_logs": "director.operations.fetch_logs:fetch_logs",
    "run_errand": "director.operations.run_errand:run_errand",
    "attach_disk": "director.operations.disks:attach_disk",
    "orphan_disk": "director.operations.disks:orphan_disk",
    "delete_orphan_disks": "director.operations.disks:delete_orphan_disks",
    "delete_artifacts": "director.operations.clean_up:clean_up",
}


def find_handler(type: str, handlers: Mapping[str, str] = HANDLERS) -> Handler:
    """Return the operation for a type of task; raises NotSupported for an unknown one."""
    target = handlers.get(type)
    if target is None:
        raise NotSupported(f"this director has no task of type '{type}'")
    module, _, function = target.partition(":")
    handler: Handler = getattr(import_module(module), function)
    return handler
