"""What a deploy is made from: what was sent, or, for a change of state, what was deployed."""

from __future__ import annotations

from dataclasses import replace

from worlds import MemoryWorld, manifest

from director.model.release import Release
from director.operations.deploy import deploy

LATEST = manifest(instances=1).replace("version: 1}", "version: latest}")


def upload_newer(lab: MemoryWorld) -> None:
    """Upload version 2 of the release, its job changed."""
    old = lab.world.store.releases.get("r", "1")
    assert isinstance(old, Release)
    jobs = {name: replace(job, fingerprint=f"{job.fingerprint}x") for name, job in old.jobs.items()}
    lab.world.store.releases.add(replace(old, version="2", jobs=jobs))


def fingerprints(lab: MemoryWorld) -> set[str]:
    specs = [instance.spec for instance in lab.instances()]
    return {job.fingerprint for spec in specs if spec is not None for job in spec.jobs}


def test_latest_means_what_was_deployed_until_the_next_deploy(lab: MemoryWorld) -> None:
    lab.run(deploy, manifest=LATEST, options={})
    before = fingerprints(lab)
    assert before
    upload_newer(lab)
    lab.run(deploy, change={"state": "restart", "group": "*"}, options={})
    assert fingerprints(lab) == before
    lab.run(deploy, manifest=LATEST, options={})
    assert fingerprints(lab) == {f"{old}x" for old in before}
