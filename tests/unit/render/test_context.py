"""From a resolved job and a placed instance to what its templates see, and to digests of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from director.model.amounts import Amount, WatchTime
from director.model.configs import CloudConfig, Network, Subnet
from director.model.errors import VariableError
from director.model.ids import InstanceId, StemcellCid
from director.model.instances import InstanceSpec, NetworkSpec, StemcellRef
from director.model.manifest import NetworkUse, UpdatePolicy
from director.model.release import Job, LinkSpec, PropertySpec, Release
from director.model.rendered import RenderedFile
from director.model.rendering import RenderRequest
from director.model.resolved import (
    DiskSpec,
    ResolvedDeployment,
    ResolvedGroup,
    ResolvedJob,
    ResolvedLink,
)
from director.model.stemcell import Stemcell
from director.render.context import build_request
from director.render.digests import job_digests, rendered_digest

JOB = Job(
    name="redis",
    fingerprint="f1",
    templates={"a.erb": "bin/a"},
    properties=tuple(PropertySpec(name=n) for n in ("port", "tls.cert", "password", "unset")),
    provides=(LinkSpec(name="db", type="sql"),),
)
RELEASE = Release(name="rel", version="1+dev.2", jobs={"redis": JOB})
STEMCELL = Stemcell(name="s", version="1", operating_system="debian-12", cid=StemcellCid("s1"))
PROPERTIES = {"port": 80, "tls": {"cert": "((tls.certificate))"}, "password": "((pw))"}
VALUES = {"pw": "s3cret-of-redis", "tls": {"certificate": "CERTIFICATE"}, "other": "x"}


def resolved_job(**links: ResolvedLink) -> ResolvedJob:
    return ResolvedJob(job=JOB, release=RELEASE, properties=PROPERTIES, links=links)


def group(job: ResolvedJob) -> ResolvedGroup:
    network = Network(
        name="private_net", type="manual", subnets=(Subnet(range=IPv4Network("10.0.0.0/24")),)
    )
    return ResolvedGroup(
        name="db_main",
        path=("instance_groups", 0),
        instances=2,
        lifecycle="service",
        jobs=(job,),
        stemcells={None: STEMCELL},
        vm_type="small",
        cloud_properties={None: {}},
        networks=((NetworkUse(name="private_net"), network),),
        update=UpdatePolicy(
            canaries=Amount(1),
            max_in_flight=Amount(1),
            canary_watch_time=WatchTime(1, 2),
            update_watch_time=WatchTime(1, 2),
        ),
    )


def spec(index: int = 0, *networks: NetworkSpec, **changes: Any) -> InstanceSpec:
    values: dict[str, Any] = {
        "id": InstanceId(f"u{index}"),
        "deployment": "My_Dep",
        "group": "db_main",
        "index": index,
        "az": f"z{index}",
        "bootstrap": index == 0,
        "lifecycle": "service",
        "stemcell": StemcellRef(name="s", version="1", os="debian-12"),
        "vm_type": "small",
        "cloud_properties": {},
        "env": {},
        "networks": networks or (static(index),),
        "jobs": (),
        "packages": (),
        "disk": DiskSpec(size_mb=1024),
    }
    return InstanceSpec(**{**values, **changes})


def static(index: int) -> NetworkSpec:
    return NetworkSpec(
        name="private_net",
        type="manual",
        ip=f"10.0.0.{index}",
        netmask="255.255.255.0",
        gateway="10.0.0.254",
        dns=("1.1.1.1",),
        default=("dns", "gateway"),
        cloud_properties={"key": "((other))"},
    )


def dynamic(ip: str | None) -> NetworkSpec:
    return NetworkSpec(name="cloud", type="dynamic", ip=ip)


def built(
    job: ResolvedJob | None = None,
    instance: InstanceSpec | None = None,
    *peers: InstanceSpec,
    values: Mapping[str, Any] = VALUES,
) -> RenderRequest:
    job = job or resolved_job()
    deployment = ResolvedDeployment(
        name="My_Dep",
        groups=(group(job),),
        releases={"rel": RELEASE},
        stemcells={},
        cloud=CloudConfig(),
    )
    return build_request(
        deployment=deployment,
        group=group(job),
        job=job,
        spec=instance or spec(),
        peers={"db_main": peers},
        values=values,
        archive="/blobs/x",
    )


def test_the_spec_object() -> None:
    request = built()
    assert request.spec == {
        "deployment": "My_Dep",
        "name": "db_main",
        "id": "u0",
        "index": 0,
        "az": "z0",
        "bootstrap": True,
        "lifecycle": "service",
        "address": "10.0.0.0",
        "ip": "10.0.0.0",
        "dns_domain_name": "bosh",
        "networks": {
            "private_net": {
                "type": "manual",
                "ip": "10.0.0.0",
                "netmask": "255.255.255.0",
                "gateway": "10.0.0.254",
                "dns": ["1.1.1.1"],
                "default": ["dns", "gateway"],
                "dns_record_name": "0.db-main.private-net.my-dep.bosh",
                "cloud_properties": {"key": "x"},
            }
        },
        "persistent_disk": 1024,
        "release": {"name": "rel", "version": "1+dev.2"},
        "job": {"name": "db_main", "templates": [{"name": "redis", "version": "f1"}]},
    }
    assert (request.instance, request.release, request.job) == ("db_main/0", "rel", "redis")
    assert request.property_names == ("port", "tls.cert", "password", "unset")


def test_variables_are_filled_in_and_never_shown() -> None:
    request = built()
    assert request.properties == {
        "port": 80,
        "tls": {"cert": "CERTIFICATE"},
        "password": "s3cret-of-redis",
    }
    assert set(request.extra["given"]) >= {"s3cret-of-redis", "CERTIFICATE"}
    assert set(request.extra["secrets"]) == {"s3cret-of-redis", "CERTIFICATE", "x"}
    assert "s3cret" not in repr(request)
    assert request.extra["provides"] == [{"name": "db", "type": "sql", "group": "db-sql"}]


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(VariableError, match="uses the variables 'other', 'tls'"):
        built(values={"pw": "x"})


def test_an_address_not_picked_yet() -> None:
    request = built(None, spec(0, dynamic(None)))
    assert request.spec["ip"] == request.spec["networks"]["cloud"]["ip"] == "127.0.0.1"
    request = built(None, spec(0, dynamic("10.9.9.9")))
    assert request.spec["ip"] == request.spec["networks"]["cloud"]["ip"] == "10.9.9.9"
    assert request.spec["networks"]["cloud"]["netmask"] is None


def test_links() -> None:
    found = ResolvedLink(
        name="db",
        type="sql",
        group="db_main",
        job="redis",
        network="cloud",
        properties={"password": "((pw))"},
    )
    manual = ResolvedLink(
        name="ext",
        type="x",
        manual={"instances": [{"address": "((other))"}], "address": "a.b", "properties": {"p": 1}},
    )
    peers = [spec(n, static(n), dynamic(f"10.9.0.{n}")) for n in (2, 0)]
    request = built(resolved_job(db=found, ext=manual), peers[0], *peers)
    view = request.links["db"]
    assert [i["address"] for i in view.instances] == ["10.9.0.0", "10.9.0.2"]
    assert view.instances[0] == {
        "name": "db_main",
        "id": "u0",
        "index": 0,
        "az": "z0",
        "address": "10.9.0.0",
        "bootstrap": True,
    }
    assert view.properties == {"password": "s3cret-of-redis"}
    assert (view.group, view.address) == ("db_main", None)
    other = request.links["ext"]
    assert other.instances == ({"address": "x"},)
    assert (other.address, other.properties) == ("a.b", {"p": 1})


def test_digests_name_what_changed() -> None:
    link = ResolvedLink(name="db", type="sql", group="db_main", network=None)
    job = resolved_job(db=link)
    before = job_digests(job, built(job, None, spec(0)), "d", b"key")
    assert set(before.properties) == {"port", "tls.cert", "password"}
    assert before.templates == "d"
    assert job_digests(job, built(job, None, spec(0)), "d", b"key") == before
    rotated = {**VALUES, "pw": "new"}
    after = job_digests(job, built(job, None, spec(0), spec(1), values=rotated), "d", b"key")
    assert [n for n in before.properties if before.properties[n] != after.properties[n]] == [
        "password"
    ]
    assert before.links != after.links
    other = job_digests(job, built(job, None, spec(0)), "d", b"other")
    assert not set(other.properties.values()) & set(before.properties.values())


def test_equal_values_have_different_digests() -> None:
    same = replace(resolved_job(), properties={"port": "x", "password": "x"})
    digests = job_digests(same, built(same), "", b"key").properties
    assert digests["port"] != digests["password"]


def test_the_digest_of_rendered_files() -> None:
    a, b = RenderedFile(path="a", content=b"1"), RenderedFile(path="b", content=b"2")
    digest = rendered_digest(b"", [a, b])
    assert rendered_digest(b"", [b, a]) == digest
    others = [
        rendered_digest(b"x", [a, b]),
        rendered_digest(b"", [a]),
        rendered_digest(b"", [a, replace(b, content=b"3")]),
        rendered_digest(b"", [a, replace(b, path="c")]),
        rendered_digest(b"", [replace(a, content=b"1b2"), replace(b, content=b"")]),
    ]
    assert len({digest, *others}) == 6
