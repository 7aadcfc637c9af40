"""Names looked up, properties bound, links found; every error at once."""

from __future__ import annotations

from typing import Any

import pytest

from director.manifest.emit import emit
from director.manifest.located_yaml import load_located
from director.manifest.ops_files import apply_ops
from director.manifest.read_cloud_config import read_cloud_config
from director.manifest.read_deployment import read_deployment
from director.manifest.resolve import resolve
from director.model.errors import (
    DirectorError,
    ErrorList,
    LinkError,
    ManifestError,
    NetworkError,
    ReleaseNotFound,
    ReleaseVersionNotFound,
    StemcellNotFound,
)
from director.model.ids import StemcellCid
from director.model.instances import DiskSpec
from director.model.release import Job, LinkSpec, PropertySpec, Release
from director.model.resolved import ResolvedDeployment
from director.model.stemcell import Stemcell

CLOUD = """\
azs: [{name: z1, cloud_properties: {a: az, b: az}}, {name: z2}]
vm_types: [{name: small, cloud_properties: {b: type, c: type}}]
vm_extensions: [{name: lb, cloud_properties: {c: ext}}]
disk_types: [{name: big, disk_size: 100, cloud_properties: {x: 1}}, {name: none, disk_size: 0}]
networks:
- name: net
  subnets:
  - {range: 10.0.0.0/24, gateway: 10.0.0.1, az: z1, static: [10.0.0.10-10.0.0.19]}
  - {range: 10.0.1.0/24, gateway: 10.0.1.1, az: z2, static: [10.0.1.10-10.0.1.19]}
- name: only1
  subnets: [{range: 10.1.0.0/24, gateway: 10.1.0.1, az: z1}]
- {name: dyn, type: dynamic}
"""

BASE = """\
name: d
releases: [{name: r, version: latest}]
stemcells: [{alias: s, os: debian-12, version: latest}]
update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1, update_watch_time: 1}
instance_groups:
- name: db
  azs: [z1, z2]
  instances: 2
  vm_type: small
  stemcell: s
  networks:
  - {name: net}
  jobs:
  - {name: server, release: r}
- name: web
  azs: [z1]
  instances: 1
  vm_type: small
  stemcell: s
  networks:
  - {name: net}
  jobs:
  - {name: client, release: r}
"""

SERVER = Job(
    name="server",
    fingerprint="f1",
    properties=(
        PropertySpec(name="port", default=6379),
        PropertySpec(name="tls.ca"),
        PropertySpec(name="tls.on", default=True),
        PropertySpec(name="map", default={"b": 1, "a": {"d": 1, "c": 2}}),
    ),
    provides=(LinkSpec(name="db", type="database", properties=("port", "tls.ca")),),
    consumes=(LinkSpec(name="peers", type="database"),),
)
CLIENT = Job(
    name="client",
    fingerprint="f2",
    consumes=(
        LinkSpec(name="db", type="database"),
        LinkSpec(name="cache", type="cache", optional=True),
    ),
)


def release(version: str, *jobs: Job, name: str = "r") -> Release:
    return Release(name=name, version=version, jobs={job.name: job for job in jobs})


def stemcell(version: str, os: str = "debian-12") -> Stemcell:
    return Stemcell(name=f"{os}-x", version=version, operating_system=os, cid=StemcellCid("c"))


RELEASES = [release("1.2", SERVER, CLIENT), release("1.10", SERVER, CLIENT)]
STEMCELLS = [stemcell("1.9"), stemcell("1.10"), stemcell("2.1"), stemcell("5", "ubuntu-noble")]


def resolved(*ops: tuple[str, Any], releases: list[Release] = RELEASES) -> ResolvedDeployment:
    changes = [{"type": "replace", "path": path, "value": value} for path, value in ops]
    text = emit(apply_ops(load_located(BASE, "m").data, changes, "ops"))
    cloud = read_cloud_config([("c.yml", CLOUD)])
    return resolve(read_deployment(text, "m.yml"), cloud, releases, STEMCELLS)


def errors_of(*ops: tuple[str, Any], releases: list[Release] = RELEASES) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        resolved(*ops, releases=releases)
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


DB, WEB = "/instance_groups/name=db", "/instance_groups/name=web"


def test_resolves():
    deployment = resolved(
        (f"{DB}/vm_extensions?", ["lb"]),
        (f"{DB}/persistent_disk_type?", "big"),
        ("/tags?", {"a": "deployment", "b": "deployment"}),
        (f"{DB}/tags?", {"b": "group"}),
    )
    db, web = deployment.groups
    assert deployment.releases["r"].version == "1.10"
    assert db.stemcell.version == "2.1"
    assert db.path == ("instance_groups", 0)
    assert db.cloud_properties["z1"] == {"a": "az", "b": "type", "c": "ext"}
    assert db.cloud_properties["z2"] == {"b": "type", "c": "ext"}
    assert db.disk == DiskSpec(size_mb=100, type="big", cloud_properties={"x": 1})
    assert web.disk is None
    assert db.tags == {"a": "deployment", "b": "group"}
    assert db.networks[0][0].default == ("dns", "gateway")
    assert db.networks[0][1].name == "net"


@pytest.mark.parametrize(
    ("path", "version", "found"),
    [
        ("/releases/0/version", "1.latest", "1.10"),
        ("/releases/0/version", 1.2, "1.2"),
        ("/releases/0", {"name": "r", "version": "create", "url": "file://x"}, "1.10"),
        ("/stemcells/0/version", "1.latest", "1.10"),
        ("/stemcells/0/version", "1.9", "1.9"),
    ],
)
def test_versions(path, version, found):
    deployment = resolved((path, version))
    chosen = deployment.releases["r"] if "releases" in path else deployment.stemcells["s"][0]
    assert chosen.version == found


@pytest.mark.parametrize(("kind", "disk"), [("none", None), (None, DiskSpec(size_mb=7))])
def test_disks(kind, disk):
    change = (f"{DB}/persistent_disk_type?", kind) if kind else (f"{DB}/persistent_disk?", 7)
    assert resolved(change).groups[0].disk == disk


STATIC = f"{DB}/networks/0/static_ips?"


@pytest.mark.parametrize(
    ("path", "value", "kind", "what", "fix"),
    [
        ("/releases/0/name", "rr", ReleaseNotFound, "'rr' is not uploaded", "'r'"),
        ("/releases/0/version", "9", ReleaseVersionNotFound, "no version '9'", "'1.10', '1.2'"),
        ("/stemcells/0/os", "debian-11", StemcellNotFound, "os 'debian-11'", "'debian-12'"),
        ("/stemcells/0/version", "3.latest", StemcellNotFound, "'3.latest'", "'2.1', '1.10'"),
        (f"{DB}/vm_type", "smal", ManifestError, "unknown vm_type 'smal'", "'small'"),
        (f"{DB}/stemcell", "t", ManifestError, "unknown stemcell 't'", "'s'"),
        (f"{DB}/azs", ["z1", "z3"], ManifestError, "unknown AZ 'z3'", "'z1', 'z2'"),
        (f"{DB}/vm_extensions?", ["l"], ManifestError, "unknown vm_extension 'l'", "'lb'"),
        (f"{DB}/persistent_disk_type?", "bg", ManifestError, "unknown disk type 'bg'", "'big'"),
        (f"{DB}/networks/0/name", "nett", ManifestError, "unknown network 'nett'", "'net'"),
        (f"{DB}/networks/0/name", "only1", ManifestError, "no subnet in the AZ 'z2'", "'z1'"),
        (f"{DB}/networks/0/name", "dyn", ManifestError, "in the AZ 'z1', 'z2'", "add a subnet"),
        (f"{DB}/azs", None, ManifestError, "names no azs", "from 'z1', 'z2'"),
        (f"{DB}/jobs/0/release", "x", ManifestError, "unknown release 'x'", "'r'"),
        (f"{DB}/jobs/0/name", "sever", ManifestError, "has no job 'sever'", "'server'"),
        (STATIC, ["10.0.0.10", "10.0.0.30"], NetworkError, "not in the static ranges", "10.0.0.19"),
        (STATIC, ["10.0.0.10", "10.0.0.1"], NetworkError, "is reserved", "10.0.0.10-10.0.0.19"),
        (STATIC, ["10.0.0.10", "10.9.0.1"], NetworkError, "is in no subnet", "10.0.0.0/24"),
    ],
)
def test_one_error(path, value, kind, what, fix):
    found = errors_of((path, value))
    error = next(error for error in found if what in error.what)
    assert isinstance(error, kind)
    assert fix in str(error.fix)
    assert error.where is not None


def test_the_place_of_an_error_is_the_value_itself():
    (error,) = errors_of((STATIC, ["10.0.0.10", "10.9.0.1"]))
    assert str(error.where) == "m.yml:26:7"


def test_static_ips_elsewhere():
    (error,) = errors_of((f"{WEB}/networks/0/static_ips?", ["10.0.1.10"]))
    assert "is in the AZ 'z2', and the group is not" in error.what
    (error,) = errors_of(
        (STATIC, ["10.0.0.10-10.0.0.11"]), (f"{WEB}/networks/0/static_ips?", ["10.0.0.11"])
    )
    assert "'db' and 'web' both ask for the static IP '10.0.0.11'" in error.what
    dynamic = {"name": "dyn", "static_ips": ["10.0.0.11"]}
    found = errors_of((f"{WEB}/azs", None), (f"{WEB}/networks", [dynamic]))
    assert "static IPs on the dynamic network" in found[0].what


def test_all_errors_at_once():
    found = errors_of((f"{DB}/vm_type", "x"), (f"{WEB}/vm_type", "y"), ("/releases/0/name", "z"))
    assert len(found) == 5  # both groups' jobs name a release that is not listed, too


# -- properties -----------------------------------------------------------------------------------


def bound(*ops: tuple[str, Any]) -> Any:
    return resolved(*ops).groups[0].jobs[0].properties


DEFAULTS = {
    "map": {"a": {"c": 2, "d": 1}, "b": 1},
    "port": 6379,
    "tls": {"ca": None, "on": True},
}


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        pytest.param([], DEFAULTS, id="defaults"),
        pytest.param(
            [(f"{DB}/jobs/0/properties?", {"port": 1, "unknown": 2, "tls": {"on": False}})],
            {**DEFAULTS, "port": 1, "tls": {"ca": None, "on": False}},
            id="declared-only-and-false-counts",
        ),
        pytest.param(
            [("/properties?", {"port": 1, "tls": {"ca": "x"}}), (f"{DB}/properties?", {"port": 2})],
            {**DEFAULTS, "port": 2, "tls": {"ca": "x", "on": True}},
            id="group-over-deployment",
        ),
        pytest.param(
            [("/properties?", {"port": 1}), (f"{DB}/jobs/0/properties?", {})],
            DEFAULTS,
            id="the-jobs-own-replace-all",
        ),
        pytest.param(
            [(f"{DB}/jobs/0/properties?", {"port": None, "tls": None})], DEFAULTS, id="null"
        ),
        pytest.param(
            [(f"{DB}/jobs/0/properties?", {"map": {"z": 1, "y": "((v))"}})],
            {**DEFAULTS, "map": {"y": "((v))", "z": 1}},
            id="a-map-replaces-its-default",
        ),
    ],
)
def test_binding(ops, expected):
    found = bound(*ops)
    assert found == expected
    assert list(found["map"]) == sorted(found["map"])


@pytest.mark.parametrize("path", [f"{DB}/jobs/0/properties?", f"{DB}/properties?", "/properties?"])
def test_a_property_of_the_wrong_shape(path):
    found = errors_of((path, {"tls": "((cert))"}))
    assert [e.what.partition(": ")[2] for e in found] == [
        f"property '{name}' needs a mapping at 'tls', and text is there"
        for name in ("tls.ca", "tls.on")
    ]
    assert "with 'ca: ((cert.ca))'" in str(found[0].fix)
    assert found[0].where == found[1].where
    assert found[0].where is not None


# -- links ----------------------------------------------------------------------------------------


def test_implicit_links_go_by_type():
    db, web = resolved((f"{DB}/jobs/0/properties?", {"port": 5, "tls": {"ca": "((ca))"}})).groups
    link = web.jobs[0].links["db"]
    assert (link.group, link.job, link.network, link.type) == ("db", "server", "net", "database")
    assert link.properties == {"port": 5, "tls": {"ca": "((ca))"}}
    assert db.jobs[0].links["peers"].group == "db"
    assert "cache" not in web.jobs[0].links


def test_explicit_links_go_by_name():
    second = {**load_located(BASE, "m").data["instance_groups"][0], "name": "db2"}
    second["jobs"] = [{"name": "server", "release": "r", "provides": {"db": {"as": "other"}}}]
    ops: list[tuple[str, Any]] = [("/instance_groups/-", second)]
    for group in ("db", "db2"):
        ops.append((f"/instance_groups/name={group}/jobs/0/consumes?", {"peers": {"from": "db"}}))
    (error,) = errors_of(*ops)
    assert isinstance(error, LinkError)
    assert "several providers: 'db' of job 'server' of instance group 'db'" in error.what
    assert "'db' (as 'other') of job 'server' of instance group 'db2'" in error.what
    assert error.fix == "name one with 'from' in 'consumes': 'db', 'other'"
    links = resolved(*ops, (f"{WEB}/jobs/0/consumes?", {"db": {"from": "other"}})).groups[1].jobs
    assert links[0].links["db"].group == "db2"


def test_a_mentioned_link_without_from_goes_by_its_own_name():
    (error,) = errors_of((f"{DB}/jobs/0/consumes?", {"peers": {}}))
    assert "is provided by nothing called 'peers'" in error.what


def test_a_link_of_several_networks():
    networks = [
        {"name": "net", "default": ["dns"]},
        {"name": "only1", "default": ["gateway", "addressable"]},
    ]
    ops: list[tuple[str, Any]] = [(f"{DB}/azs", ["z1"]), (f"{DB}/networks", networks)]
    assert resolved(*ops).groups[1].jobs[0].links["db"].network == "only1"
    wanted = (f"{WEB}/jobs/0/consumes?", {"db": {"network": "net"}})
    assert resolved(*ops, wanted).groups[1].jobs[0].links["db"].network == "net"
    (error,) = errors_of((f"{WEB}/jobs/0/consumes?", {"db": {"network": "only1"}}))
    assert "is not on that network" in error.what


def test_manual_links():
    manual = {"instances": [{"address": "1.2.3.4"}], "properties": {"b": 1, "a": "((v))"}}
    link = resolved((f"{WEB}/jobs/0/consumes?", {"cache": manual})).groups[1].jobs[0].links["cache"]
    assert (link.group, link.job, link.manual) == (None, None, manual)
    assert link.properties == {"a": "((v))", "b": 1}


@pytest.mark.parametrize(
    ("consumes", "what"),
    [
        ({"db": "nil"}, "is blocked and not optional"),
        ({"db": {"from": "dd"}}, "is provided by nothing called 'dd'"),
        ({"cache": {"from": "x"}}, "is provided by no job of the deployment"),
        ({"dbb": {"from": "db"}}, "consumes no link 'dbb'"),
    ],
)
def test_link_errors(consumes, what):
    (error,) = errors_of((f"{WEB}/jobs/0/consumes?", consumes))
    assert isinstance(error, LinkError)
    assert what in error.what
    assert error.fix


def test_a_blocked_optional_link_and_a_hidden_provider():
    assert resolved((f"{WEB}/jobs/0/consumes?", {"cache": "nil"})).groups[1].jobs[
        0
    ].links.keys() == {"db"}
    found = errors_of((f"{DB}/jobs/0/provides?", {"db": "nil"}))
    assert ["is provided by no job" in error.what for error in found] == [True, True]
    (error,) = errors_of((f"{DB}/jobs/0/provides?", {"dbx": {"as": "y"}}))
    assert "provides no link 'dbx'" in error.what


def test_ten_thousand_instances_are_nothing_special():
    assert resolved((f"{DB}/instances", 10_000)).groups[0].instances == 10_000


# -- what is probably a mistake -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "warned"),
    [
        pytest.param({"port": 1, "tls": {"ca": "x"}, "map": {"any": {"k": 1}}}, [], id="declared"),
        pytest.param({"tls": None, "((key))": 1, "map": "((m))"}, [], id="filled later"),
        pytest.param({"prot": 1}, ["'prot'", "did you mean 'port'? Otherwise"], id="typo"),
        pytest.param({"tls": {"cas": "x"}}, ["'tls.cas'", "did you mean 'tls.ca'?"], id="inner"),
        pytest.param({"x": {"y": {"z": 1}}}, ["'x'", "take it out"], id="a whole tree is one"),
    ],
)
def test_a_property_that_no_job_declares_is_warned_of(
    properties: dict[str, Any], warned: list[str]
) -> None:
    warnings = resolved((f"{DB}/jobs/0/properties?", properties)).warnings
    assert len(warnings) == bool(warned)
    for words in warned:
        assert words in warnings[0]
    assert all(warning.startswith("m.yml:") for warning in warnings)
    inherited = resolved(("/properties?", properties), (f"{DB}/properties?", properties))
    assert inherited.warnings == (), "other jobs may want what several inherit"


def test_where_variables_are_used_first_is_known() -> None:
    text = emit(
        {
            **load_located(BASE, "").data,
            "variables": [
                {
                    "name": "leaf",
                    "type": "certificate",
                    "options": {"common_name": "((cn))", "ca": "root"},
                }
            ],
            "properties": {"b": "x-((p.q))-((/other))", "a": ["((p))"], "((key))": 1},
        }
    )
    found = read_deployment(text).uses
    assert set(found) == {"cn", "root", "p", "/other", "key"}
    lines = text.splitlines()
    for name, where in found.items():
        assert name in lines[where.line - 1][where.column - 1 :]
    assert "x-((p.q))" in lines[found["p"].line - 1]
