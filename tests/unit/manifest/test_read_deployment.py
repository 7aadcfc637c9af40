"""Deployment manifests: what is read, and every error with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from director.manifest.emit import emit
from director.manifest.located_yaml import load_located
from director.manifest.ops_files import apply_ops
from director.manifest.read_deployment import read_deployment
from director.manifest.schema import load_schema
from director.model.amounts import Amount, WatchTime
from director.model.errors import DirectorError, ErrorList, ManifestError, NotSupported, YamlError
from director.model.manifest import LinkOffer, LinkUse, MigratedFrom, NetworkUse
from director.model.source import Source

BASE = """\
name: d
releases:
- name: r
  version: 1.10
stemcells:
- alias: s
  os: debian-12
  version: latest
update:
  canaries: 1
  max_in_flight: 50%
  canary_watch_time: 1000-30000
  update_watch_time: 5000
instance_groups:
- name: web
  azs: [z1]
  instances: 2
  vm_type: small
  stemcell: s
  networks:
  - name: default
  jobs:
  - name: j
    release: r
"""


def changed(*ops: tuple[str, Any], remove: tuple[str, ...] = ()) -> str:
    """Return the base manifest with values replaced by path."""
    data = apply_ops(
        load_located(BASE, "m").data,
        [
            *({"type": "replace", "path": path, "value": value} for path, value in ops),
            *({"type": "remove", "path": path} for path in remove),
        ],
        "ops",
    )
    return emit(data)


def errors_of(text: str) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        read_deployment(text, "m.yml")
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


def test_reads_a_small_manifest():
    deployment = read_deployment(BASE, "m.yml")
    assert deployment.name == "d"
    assert deployment.releases[0].version == "1.10"
    assert deployment.stemcells[0].os == "debian-12"
    (group,) = deployment.instance_groups
    assert (group.path, group.instances, group.azs) == (("instance_groups", 0), 2, ("z1",))
    assert group.update.max_in_flight == Amount(50, percent=True)
    assert group.update.canary_watch_time == WatchTime(1000, 30000)
    assert group.update.update_watch_time == WatchTime(5000, 5000)
    assert (group.update.serial, group.lifecycle, group.jobs[0].properties) == (
        True,
        "service",
        None,
    )
    assert deployment.sources[("instance_groups", 0, "vm_type")] == Source("m.yml", 18, 12)


def test_a_group_inherits_what_its_update_leaves_out():
    text = changed(
        ("/update/serial?", False), ("/instance_groups/0/update?", {"canaries": 0, "serial": None})
    )
    update = read_deployment(text).instance_groups[0].update
    assert (update.canaries, update.serial) == (Amount(0), False)
    assert update.max_in_flight == Amount(50, percent=True)


def test_reads_the_rest():
    text = changed(
        ("/director_uuid?", "ignored"),
        ("/addons?", []),
        ("/tags?", {"a": 1, "b": True}),
        ("/features?", {"converge_variables": True, "use_dns_addresses": False}),
        (
            "/variables?",
            [{"name": "/a/b-c", "type": "certificate", "options": {"common_name": "((n))"}}],
        ),
        ("/instance_groups/0/migrated_from?", [{"name": "old", "az": "z1"}]),
        ("/instance_groups/0/persistent_disk?", 10),
        ("/instance_groups/0/env?", {"bosh": {"authorized_keys": ["k"]}, "own": "((x))"}),
        ("/instance_groups/0/networks", [{"name": "a", "static_ips": ["10.0.0.5 - 10.0.0.6"]}]),
        ("/instance_groups/0/jobs/0/properties?", {"a": "((b))"}),
        (
            "/instance_groups/0/jobs/0/consumes?",
            {
                "x": "nil",
                "y": {"from": "z", "network": "n"},
                "w": {},
                "m": {"instances": [{"address": "1.2.3.4"}], "properties": {"p": 1}},
            },
        ),
        ("/instance_groups/0/jobs/0/provides?", {"o": {"as": "other", "shared": True}, "h": "nil"}),
    )
    deployment = read_deployment(text)
    (group,) = deployment.instance_groups
    (job,) = group.jobs
    assert deployment.tags == {"a": "1", "b": "true"}
    assert deployment.features == {"converge_variables": True, "use_dns_addresses": False}
    assert deployment.variables[0].name == "/a/b-c"
    assert group.migrated_from == (MigratedFrom(name="old", az="z1"),)
    assert (group.persistent_disk_mb, group.env["own"]) == (10, "((x))")
    assert group.networks == (NetworkUse(name="a", static_ips=("10.0.0.5", "10.0.0.6")),)
    assert job.properties == {"a": "((b))"}
    assert job.consumes["x"] == LinkUse(name="x", blocked=True)
    assert job.consumes["y"] == LinkUse(name="y", from_name="z", network="n")
    assert job.consumes["w"] == LinkUse(name="w", from_name="w")
    assert job.consumes["m"].manual == {
        "instances": [{"address": "1.2.3.4"}],
        "properties": {"p": 1},
    }
    assert job.provides["o"] == LinkOffer(name="o", alias="other", shared=True)
    assert job.provides["h"].hidden


G = "/instance_groups/0"
TWO_NETWORKS = [{"name": "a", "default": ["dns"]}, {"name": "b"}]


@pytest.mark.parametrize(
    ("path", "value", "what", "fix"),
    [
        (f"{G}/vm_typ?", "x", "instance group 'web' has an unknown key 'vm_typ'", "'vm_type'"),
        (f"{G}/instances", "two", "'instances' of instance group 'web' cannot be 'two'", "whole"),
        (f"{G}/instances", -1, "cannot be the number -1", "0 or more"),
        (f"{G}/instances", True, "cannot be true", "whole"),
        (f"{G}/instances", "((n))", "needs a value for '((n))'", "-v n=VALUE"),
        (f"{G}/name", "web\n", "cannot be 'web\n'", "letters"),
        (f"{G}/name", "a/b", "cannot be 'a/b'", "letters"),
        (f"{G}/name", "../x", "cannot be '../x'", "letters"),
        (f"{G}/vm_type", True, "'vm_type' of instance group 'web' cannot be true", "'true'"),
        (f"{G}/vm_type", None, "instance group 'web' has no 'vm_type'", "or 'vm_resources'"),
        (
            f"{G}/vm_resources?",
            {"cpu": 1, "ram": 1, "ephemeral_disk_size": 1},
            "instance group 'web' has both 'vm_type' and 'vm_resources'",
            "keep one",
        ),
        (f"{G}/vm_resources?", {"cpu": 1}, "'vm_resources' of instance group 'web'", "'ram'"),
        (f"{G}/azs", "z1", "'azs' of instance group 'web' cannot be 'z1'", "[z1]"),
        (f"{G}/azs", [], "is an empty list", "leave the key out"),
        (f"{G}/azs", ["z1", "z1"], "'z1' is listed twice", "keep one"),
        (f"{G}/lifecycle?", "erand", "cannot be 'erand'", "'errand'"),
        (f"{G}/networks", TWO_NETWORKS, "none with 'default: [gateway]'", "default: [gateway]"),
        (
            f"{G}/networks",
            [{"name": "a", "default": ["dns", "gateway"]}, {"name": "b", "default": ["dns"]}],
            "several networks with 'default: [dns]': 'a' and 'b'",
            "one of them",
        ),
        (
            f"{G}/networks",
            [{"name": "a"}] * 2,
            "'a' of instance group 'web' is listed twice",
            "keep one",
        ),
        (f"{G}/networks/0/static_ips?", ["10.0.0.1"], "2 instances and 1 static IPs", "exactly"),
        (f"{G}/networks/0/static_ips?", ["10.0.0.0/8"], "16777216 static IPs", "exactly"),
        (f"{G}/networks/0/static_ips?", ["10.0.0.1"] * 2, "has an address twice", "once"),
        (f"{G}/networks/0/static_ips?", ["10.0.0.999", "x"], "not an IPv4 address", "correct"),
        (f"{G}/networks/0/static_ips?", ["10.0.0.2-10.0.0.1"], "ends before it begins", "correct"),
        (f"{G}/networks/0/static_ips?", ["fd00::1", "fd00::2"], "IPv6", "correct"),
        (f"{G}/jobs/-", {"name": "j", "release": "r"}, "job 'j' of instance group 'web'", "keep"),
        (f"{G}/jobs/0/consumes?", {"x": None}, "consumed link 'x'", "write nil"),
        (
            f"{G}/jobs/0/consumes?",
            {"x": {"from": "a", "instances": []}},
            "has both 'from' and 'instances'",
            "not both",
        ),
        (
            f"{G}/jobs/0/consumes?",
            {"x": {"properties": {}}},
            "has 'properties' and no 'instances'",
            "add 'instances'",
        ),
        (f"{G}/migrated_from?", [{"name": "web"}], "which is still there", "take"),
        (f"{G}/migrated_from?", [{"name": "o", "az": "z9"}], "none of its own", "add 'z9'"),
        ("/update/max_in_flight", "5O%", "'update.max_in_flight' cannot be '5O%'", "50%"),
        ("/update/canary_watch_time", "3-1", "ends before it begins", "correct"),
        ("/releases/-", {"name": "r", "version": "1"}, "release 'r' is listed twice", "keep"),
        ("/releases/0/version", "create", "has the version 'create' and no url", "file://"),
        ("/stemcells/0/name?", "x", "stemcell 's' has both 'os' and 'name'", "exactly one"),
        ("/name", "a b", "'name' cannot be 'a b'", "letters"),
        ("/variables?", [{"name": "a//b", "type": "rsa"}], "cannot be 'a//b'", "without '//'"),
        ("/variables?", [{"name": "a.b/c", "type": "rsa"}], "cannot be 'a.b/c'", "dot before"),
        ("/variables?", [{"name": "a", "type": "rsaa"}], "cannot be 'rsaa'", "'rsa'"),
        (
            "/variables?",
            [{"name": "a", "type": "password", "options": {"lenght": 3}}],
            "a password has no option 'lenght'",
            "'length'",
        ),
        (
            "/variables?",
            [{"name": "a", "type": "password", "options": {"length": "x"}}],
            "'options.length' of variable 'a' must be a whole number",
            "whole",
        ),
        (
            "/variables?",
            [{"name": "a", "type": "certificate"}],
            "neither 'common_name' nor 'alternative_names'",
            "common_name",
        ),
        ("/features?", {"converge": True}, "unknown key 'converge'", "'converge_variables'"),
        ("/features?", {"converge_variables": "yes"}, "cannot be 'yes'", "true or false"),
    ],
)
def test_one_error(path, value, what, fix):
    found = errors_of(changed((path, value)))
    error = next(error for error in found if what in error.what)
    assert isinstance(error, ManifestError)
    assert fix in str(error.fix)
    assert error.where is not None


@pytest.mark.parametrize("key", ["name", "releases", "stemcells", "update", "instance_groups"])
def test_missing_at_the_top(key):
    (error,) = errors_of(changed(remove=(f"/{key}",)))
    assert error.what == f"the deployment manifest has no '{key}'"
    assert error.where == Source("m.yml", 1, 1)


@pytest.mark.parametrize("key", ["canaries", "canary_watch_time"])
def test_update_is_complete_at_the_top(key):
    (error,) = errors_of(changed(remove=(f"/update/{key}",)))
    assert error.what == f"'update' has no '{key}'"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{G}/persistent_disks?", [{"name": "a"}]),
        (f"{G}/state?", "stopped"),
        (f"{G}/networks/0/nic_group?", 1),
        (f"{G}/update?", {"vm_strategy": "create-swap-delete"}),
        (f"{G}/env?", {"bosh": {"password": "x"}}),
        (f"{G}/env?", {"bosh": {"ntp": ["a"]}}),
        (f"{G}/jobs/0/update?", {"canaries": 1}),
        (f"{G}/jobs/0/custom_provider_definitions?", [{"name": "a"}]),
        (f"{G}/jobs/0/consumes?", {"x": {"from": "a", "deployment": "other"}}),
        (f"{G}/jobs/0/consumes?", {"x": {"ip_addresses": False}}),
        (f"{G}/jobs/0/provides?", {"x": {"aliases": [{"domain": "a.b"}]}}),
        ("/addons?", [{"name": "a", "jobs": []}]),
        ("/releases/0/exported_from?", [{"os": "a", "version": "1"}]),
        ("/features?", {"use_dns_addresses": True}),
        ("/features?", {"use_tmpfs_config": True}),
        ("/variables?", [{"name": "a", "type": "user"}]),
        (
            "/variables?",
            [{"name": "a", "type": "rsa", "update": {"strategy": "on-stemcell-change"}}],
        ),
        ("/jobs?", [{"name": "a"}]),
        ("/resource_pools?", [{"name": "a"}]),
        ("/disk_pools?", [{"name": "a"}]),
        ("/networks?", [{"name": "a"}]),
        ("/compilation?", {"workers": 1}),
    ],
)
def test_not_supported_is_said_by_name(path, value):
    (error,) = errors_of(changed((path, value)))
    assert isinstance(error, NotSupported)
    assert "not supported" in error.what
    assert error.fix
    assert error.where


def test_both_disks_are_refused():
    text = changed((f"{G}/persistent_disk?", 1), (f"{G}/persistent_disk_type?", "x"))
    assert "both 'persistent_disk' and 'persistent_disk_type'" in errors_of(text)[0].what


def test_two_groups_cannot_inherit_the_same_group():
    second = {**load_located(BASE, "m").data["instance_groups"][0], "name": "b"}
    text = changed(
        (f"{G}/migrated_from?", [{"name": "old"}]),
        ("/instance_groups/-", {**second, "migrated_from": [{"name": "old"}]}),
    )
    assert "migrates into both 'web' and 'b'" in errors_of(text)[0].what


def test_all_errors_at_once_in_the_order_of_the_file():
    text = BASE.replace("canaries: 1", "canaries: x").replace("instances: 2", "instances: x")
    text = text.replace("name: d\n", "nam: d\n") + "variables: {}\nvariable: []\n"
    found = errors_of(text)
    assert [(e.where.line, e.where.column) for e in found] == [
        (1, 1),
        (1, 1),
        (10, 13),
        (17, 14),
        (25, 12),
        (26, 1),
    ]


def test_errors_are_capped():
    group = load_located(BASE, "m").data["instance_groups"][0]
    text = changed(("/instance_groups", [{**group, "name": f"g{n}", "azs": 1} for n in range(300)]))
    found = errors_of(text)
    assert len(found) == 101
    assert "more errors are not shown" in found[-1].what


@pytest.mark.parametrize("text", ["", "- a", "x", "{}"])
def test_what_is_no_manifest(text):
    assert isinstance(errors_of(text)[0], YamlError)


def test_placeholders_are_wanted_early_only_outside_properties():
    text = changed((f"{G}/jobs/0/properties?", {"((a))": ["((b))"]}), (f"{G}/env?", {"x": "((c))"}))
    assert read_deployment(text).instance_groups[0].jobs[0].properties == {"((a))": ["((b))"]}
    found = errors_of(changed(("/name", "((a))"), (f"{G}/stemcell", "s-((b))"), ("/((c))?", 1)))
    assert [e.what[-16:] for e in found] == [
        "alue for '((a))'",
        "alue for '((b))'",
        "alue for '((c))'",
    ]


def test_every_schema_key_has_help():
    def visit(schema: dict[str, Any], path: str) -> None:
        for key, inner in schema.get("properties", {}).items():
            assert inner.get("description"), f"{path}/{key}"
            visit(inner, f"{path}/{key}")
        for inner in (schema.get("items"), schema.get("additionalProperties")):
            if isinstance(inner, dict):
                visit(inner, path)

    for name in ("deployment", "cloud-config", "env"):
        visit(dict(load_schema(name)), name)


def test_the_sample_manifests_are_read():
    for path in (Path(__file__).parents[3] / "manifests").glob("*.yml"):
        if not path.name.startswith("cloud-config"):
            assert read_deployment(path.read_text(), path.name).instance_groups
