from __future__ import annotations

from dataclasses import replace

import pytest
from builders import (
    applied,
    detached,
    digests,
    disk,
    instance,
    manual_place,
    missing,
    recorded_disk,
    running,
    spec,
)

from director.model.instances import (
    ActualInstance,
    DesiredState,
    Found,
    NetworkSpec,
    PackageRef,
    StemcellRef,
)
from director.plan.changes import action_for, changes, disk_changes
from director.plan.options import PlanOptions
from director.plan.steps import Action, Reason

NONE = PlanOptions()
DYNAMIC = NetworkSpec(name="cloud", type="dynamic", ip="172.16.0.5")


def told(old, new, options=NONE):
    why = changes(new, running(old), options)
    return [(w.reason, w.detail) for w in why], action_for(why)


def redis(**changes):
    return (digests(**changes),)


@pytest.mark.parametrize(
    ("old", "new", "reason", "detail", "action"),
    [
        pytest.param(
            {},
            {"stemcell": StemcellRef(name="director-debian-12", version="2", os="debian-12")},
            Reason.STEMCELL,
            "stemcell 'director-debian-12/1' → 'director-debian-12/2'",
            Action.RECREATE,
            id="stemcell",
        ),
        pytest.param(
            {"cloud_properties": {"memory": 512}},
            {"cloud_properties": {"memory": 1024}},
            Reason.CLOUD_PROPERTIES,
            "cloud property 'memory' 512 → 1024",
            Action.RECREATE,
            id="cloud property",
        ),
        pytest.param(
            {"cloud_properties": {"disk": {"size": 1, "type": "ssd"}}},
            {"cloud_properties": {"disk": {"size": 1, "type": "hdd"}}},
            Reason.CLOUD_PROPERTIES,
            "cloud property 'disk.type' 'ssd' → 'hdd'",
            Action.RECREATE,
            id="nested cloud property",
        ),
        pytest.param(
            {"cloud_properties": {"user": "((a))"}},
            {"cloud_properties": {"user": "((b))"}},
            Reason.CLOUD_PROPERTIES,
            "cloud property 'user'",
            Action.RECREATE,
            id="a placeholder is not shown",
        ),
        pytest.param(
            {"cloud_properties": {"api_password": "hunter2"}},
            {"cloud_properties": {"api_password": "hunter3"}},
            Reason.CLOUD_PROPERTIES,
            "cloud property 'api_password'",
            Action.RECREATE,
            id="what sounds like a secret is not shown",
        ),
        pytest.param(
            {"env": {"bosh": {"password": "old"}}},
            {"env": {"bosh": {"password": "new"}}},
            Reason.ENV,
            "env 'bosh.password'",
            Action.RECREATE,
            id="env, never a value",
        ),
        pytest.param(
            {},
            {"networks": (manual_place("10.0.0.9"),)},
            Reason.NETWORK,
            "network 'default' address 10.0.0.2 → 10.0.0.9",
            Action.RECREATE,
            id="address",
        ),
        pytest.param(
            {},
            {"networks": (manual_place(dns=("1.1.1.1",)),)},
            Reason.NETWORK,
            "network 'default' dns",
            Action.RECREATE,
            id="dns",
        ),
        pytest.param(
            {},
            {"networks": (manual_place(), DYNAMIC)},
            Reason.NETWORK,
            "network 'cloud' added",
            Action.RECREATE,
            id="network added",
        ),
        pytest.param(
            {"az": "z1"}, {"az": "z2"}, Reason.AZ, "AZ 'z1' → 'z2'", Action.RECREATE, id="az"
        ),
        pytest.param(
            {},
            {"jobs": (digests(), digests("extra"))},
            Reason.JOBS,
            "job 'extra' added",
            Action.UPDATE,
            id="job added",
        ),
        pytest.param(
            {},
            {"jobs": redis(fingerprint="other")},
            Reason.JOBS,
            "job 'redis' fingerprint",
            Action.UPDATE,
            id="job version",
        ),
        pytest.param(
            {"jobs": redis(properties={"redis.port": "d1", "redis.name": "d"})},
            {"jobs": redis(properties={"redis.port": "d2", "redis.name": "d"}, templates="t2")},
            Reason.PROPERTIES,
            "property 'redis.port' of job 'redis'",
            Action.UPDATE,
            id="property",
        ),
        pytest.param(
            {"jobs": redis(links={"peers": "d1"})},
            {"jobs": redis(links={"peers": "d2"}, templates="t2")},
            Reason.LINKS,
            "link 'peers' of job 'redis'",
            Action.UPDATE,
            id="link",
        ),
        pytest.param(
            {},
            {"jobs": redis(templates="t2")},
            Reason.TEMPLATES,
            "rendered files of job 'redis'",
            Action.UPDATE,
            id="files for another cause",
        ),
        pytest.param(
            {},
            {"packages": (PackageRef(name="redis-server", release="redis", fingerprint="fp2"),)},
            Reason.PACKAGES,
            "package 'redis-server' fingerprint",
            Action.UPDATE,
            id="package",
        ),
        pytest.param(
            {"disk": disk(1024)},
            {"disk": disk(2048)},
            Reason.DISK,
            "disk 1024 → 2048 MiB",
            Action.UPDATE,
            id="disk grown",
        ),
        pytest.param(
            {},
            {"disk": disk(512)},
            Reason.DISK,
            "disk of 512 MiB added",
            Action.UPDATE,
            id="disk added",
        ),
        pytest.param(
            {"disk": disk(512)},
            {},
            Reason.DISK,
            "disk of 512 MiB removed",
            Action.UPDATE,
            id="disk removed",
        ),
        pytest.param(
            {"disk": disk(512)},
            {"disk": disk(512, cloud_properties={"type": "ssd"})},
            Reason.DISK,
            "disk cloud property 'type' added",
            Action.UPDATE,
            id="disk cloud property",
        ),
        pytest.param(
            {}, {"tags": {"a": "b"}}, Reason.TAGS, "tag 'a' added", Action.RECORD, id="tag"
        ),
        pytest.param({}, {"index": 1}, Reason.INDEX, "index 0 → 1", Action.RECORD, id="index"),
        pytest.param(
            {},
            {"group": "cache"},
            Reason.NAMES,
            "instance group 'redis' → 'cache'",
            Action.RECORD,
            id="renamed group",
        ),
        pytest.param(
            {}, {"az": "z1"}, Reason.NAMES, "AZ is now called 'z1'", Action.RECORD, id="first AZ"
        ),
        pytest.param(
            {},
            {"vm_type": "tiny"},
            Reason.NAMES,
            "vm type 'small' → 'tiny'",
            Action.RECORD,
            id="a vm type by another name",
        ),
    ],
)
def test_each_change_is_named_by_its_key(old, new, reason, detail, action):
    assert told(spec(**old), spec(**new)) == ([(reason, detail)], action)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param(
            {"networks": (DYNAMIC,)},
            {"networks": (replace(DYNAMIC, ip=None),)},
            id="an address only the cloud picks",
        ),
        pytest.param(
            {"jobs": redis(properties={"unread": "d1"})},
            {"jobs": redis(properties={"unread": "d2"})},
            id="a property no template reads",
        ),
        pytest.param(
            {"jobs": redis(release="a")}, {"jobs": redis(release="b")}, id="the release's name"
        ),
        pytest.param(
            {"disk": disk(type="a")}, {"disk": disk(type="b")}, id="a disk type by another name"
        ),
        pytest.param(
            {"cloud_properties": {"1": [{"2": "x"}]}},
            {"cloud_properties": {1: [{2: "x"}]}},
            id="keys that storing turned into text",
        ),
    ],
)
def test_what_is_no_change(old, new):
    assert told(spec(**old), spec(**new)) == ([], Action.KEEP)


@pytest.mark.parametrize(
    ("actual", "options", "reasons"),
    [
        pytest.param(None, NONE, [Reason.NEW], id="new"),
        pytest.param(
            ActualInstance(recorded=instance(vm=None, dirty=True), found=Found.NO_VM),
            NONE,
            [Reason.NEW],
            id="recorded, and then the director died",
        ),
        pytest.param(missing(spec()), NONE, [Reason.VM_MISSING], id="lost"),
        pytest.param(
            missing(spec(cloud_properties={"other": 1})),
            NONE,
            [Reason.VM_MISSING],
            id="what a lost VM was is of no interest",
        ),
        pytest.param(
            running(spec(), found=Found.UNRESPONSIVE),
            PlanOptions(fix=True),
            [Reason.VM_UNRESPONSIVE],
            id="silent, to be fixed",
        ),
        pytest.param(running(instance()), NONE, [Reason.VM_UNKNOWN], id="a VM nobody describes"),
        pytest.param(running(applied(spec(), dirty=True)), NONE, [Reason.DIRTY], id="dirty"),
        pytest.param(
            running(applied(spec(), spec=spec(jobs=(), packages=()), dirty=True)),
            NONE,
            [Reason.DIRTY, Reason.JOBS, Reason.PACKAGES],
            id="a VM just made, nothing on it: it stays",
        ),
        pytest.param(
            running(applied(spec(), state=DesiredState.STOPPED)), NONE, [Reason.STATE], id="start"
        ),
        pytest.param(detached(spec()), NONE, [Reason.STATE, Reason.VM_MISSING], id="start again"),
        pytest.param(running(spec(), job_state="failing"), NONE, [Reason.STATE], id="failing"),
        pytest.param(running(spec(), job_state="running"), NONE, [], id="running"),
        pytest.param(
            running(spec()),
            PlanOptions(recreate=frozenset({"i0"}), restart=frozenset({"i0"})),
            [Reason.REQUESTED_RECREATE, Reason.REQUESTED_RESTART],
            id="as asked",
        ),
        pytest.param(
            running(spec()),
            PlanOptions(recreate=frozenset({"other"})),
            [],
            id="another is asked for",
        ),
    ],
)
def test_what_was_found(actual, options, reasons):
    assert [w.reason for w in changes(spec(), actual, options)] == reasons


@pytest.mark.parametrize(
    ("actual", "state", "reasons"),
    [
        pytest.param(detached(spec(jobs=())), DesiredState.DETACHED, [], id="detached stays so"),
        pytest.param(
            running(spec()), DesiredState.DETACHED, [Reason.STATE], id="to be detached now"
        ),
        pytest.param(
            missing(applied(spec(), state=DesiredState.DETACHED)),
            DesiredState.DETACHED,
            [Reason.STATE],
            id="the row of its VM is still there",
        ),
        pytest.param(
            running(applied(spec(), state=DesiredState.STOPPED), job_state="stopped"),
            DesiredState.STOPPED,
            [],
            id="stopped stays so",
        ),
        pytest.param(
            running(applied(spec(), state=DesiredState.STOPPED), job_state="running"),
            DesiredState.STOPPED,
            [Reason.STATE],
            id="somebody started it by hand",
        ),
        pytest.param(
            missing(applied(spec(), state=DesiredState.STOPPED)),
            DesiredState.STOPPED,
            [Reason.VM_MISSING],
            id="a stopped instance still has a VM",
        ),
    ],
)
def test_desired_states(actual, state, reasons):
    assert [w.reason for w in changes(spec(), actual, NONE, state)] == reasons


def test_a_detached_instance_changes_no_disk():
    wanted = spec(disk=disk(4096))
    assert changes(wanted, detached(spec(disk=disk(1))), NONE, DesiredState.DETACHED) == ()


def test_the_disk_that_counts_is_the_one_there():
    wanted = spec(disk=disk(1024))
    stale = running(applied(spec(disk=disk(9)), disks=(recorded_disk(size_mb=1024),)))
    assert not disk_changes(wanted, stale, NONE)
    assert disk_changes(wanted, stale, PlanOptions(recreate_persistent_disks=True))
    assert disk_changes(wanted, None, NONE)


def test_a_name_with_control_characters_cannot_draw_on_the_terminal():
    (why,) = changes(spec(tags={"a\x1b[2J\nb": "x"}), running(spec()), NONE)
    assert why.detail == "tag 'a?[2J?b' added"
