"""All repositories together: what operations call the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from director.store.addresses import Addresses
from director.store.attributes import Attributes
from director.store.configs import Configs
from director.store.database import Database, open_database
from director.store.deployments import Deployments
from director.store.disks import Disks
from director.store.errand_runs import ErrandRuns
from director.store.events import Events
from director.store.instances import Instances
from director.store.locks import Locks
from director.store.outputs import Outputs
from director.store.plans import Plans
from director.store.releases import Releases
from director.store.sealing import PLAIN, Sealing
from director.store.stemcells import Stemcells
from director.store.tasks import Tasks
from director.store.variables import Variables
from director.store.vms import Vms


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One repository per noun; every call is a transaction of its own."""

    database: Database
    attributes: Attributes
    deployments: Deployments
    configs: Configs
    releases: Releases
    stemcells: Stemcells
    instances: Instances
    vms: Vms
    disks: Disks
    addresses: Addresses
    variables: Variables
    tasks: Tasks
    locks: Locks
    events: Events
    plans: Plans
    errand_runs: ErrandRuns
    outputs: Outputs

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def open_store(
    url: str,
    outputs: Path,
    *,
    sealing: Sealing = PLAIN,
    now: Callable[[], float] = time.time,
) -> Store:
    """Open the store with its database at ``url`` and the outputs of tasks under ``outputs``.

    ``sealing`` encrypts what operators wrote; without it the file holds it as it is.
    """
    database = open_database(url, sealing=sealing)
    return Store(
        database=database,
        attributes=Attributes(database),
        deployments=Deployments(database, now),
        configs=Configs(database, now),
        releases=Releases(database),
        stemcells=Stemcells(database),
        instances=Instances(database),
        vms=Vms(database),
        disks=Disks(database),
        addresses=Addresses(database),
        variables=Variables(database),
        tasks=Tasks(database),
        locks=Locks(database),
        events=Events(database),
        plans=Plans(database),
        errand_runs=ErrandRuns(database),
        outputs=Outputs(outputs),
    )
