"""AZs on several CPIs: which one makes what, and from which copy of a stemcell."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from director.manifest.read_cloud_config import read_cloud_config
from director.manifest.read_cpi_config import read_cpi_config
from director.manifest.read_deployment import read_deployment
from director.manifest.resolve import resolve
from director.model.errors import CloudConfigError, DirectorError, ErrorList, StemcellNotFound
from director.model.ids import StemcellCid
from director.model.resolved import ResolvedDeployment
from director.model.stemcell import Stemcell

CLOUD = """\
azs:
- {name: z1, cpi: a}
- {name: z2, cpi: b}
- {name: z3}
vm_types: [{name: small}]
networks:
- {name: net, subnets: [{range: 10.0.0.0/24, gateway: 10.0.0.1, azs: [z1, z2, z3]}]}
- {name: none, type: dynamic}
"""
MANIFEST = """\
name: d
releases: []
stemcells: [{alias: s, os: linux, version: latest}]
update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1, update_watch_time: 1}
instance_groups:
- {name: web, azs: %s, instances: 2, vm_type: small, stemcell: s, jobs: [], networks: [{name: %s}]}
- {name: db, azs: %s, instances: 2, vm_type: small, stemcell: s, jobs: [], networks: [{name: %s}]}
"""
TWO = "cpis: [{name: a, type: x}, {name: b, type: x}]"


def copy(cpi: str, name: str = "linux-x", version: str = "1") -> Stemcell:
    cid = StemcellCid(f"{name}-on-{cpi}")
    return Stemcell(name=name, version=version, operating_system="linux", cid=cid, cpi=cpi)


BOTH = [copy("a"), copy("b")]


def resolved(
    copies: Sequence[Stemcell], azs: str = "[z1, z2]", cpis: str = TWO, net: str = "net"
) -> ResolvedDeployment:
    return resolve(
        read_deployment(MANIFEST % (azs, net, azs, net), "m.yml"),
        read_cloud_config([("c.yml", CLOUD)]),
        [],
        copies,
        read_cpi_config([("cpi.yml", cpis)] if cpis else []),
    )


def errors_of(*args: object, **more: object) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        resolved(*args, **more)  # type: ignore[arg-type]
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


def cids(found: ResolvedDeployment) -> dict[str | None, str]:
    return {az: stemcell.cid for az, stemcell in found.groups[0].stemcells.items()}


def test_each_az_has_the_copy_of_its_cpi() -> None:
    assert cids(resolved(BOTH)) == {"z1": "linux-x-on-a", "z2": "linux-x-on-b"}
    # Clouds have images of their own, of other names.
    own = [copy("a", "aws-linux"), copy("b", "openstack-linux"), copy("b", "zzz")]
    found = resolved(own)
    assert cids(found) == {"z1": "aws-linux-on-a", "z2": "openstack-linux-on-b"}
    assert len(found.stemcells["s"]) == 3, "all copies are in use, lest one be deleted"


def test_a_renamed_cpi_has_what_it_had() -> None:
    renamed = "cpis: [{name: a, type: x, migrated_from: [{name: ''}]}, {name: b, type: x}]"
    found = resolved([copy(""), copy("b")], cpis=renamed)
    assert cids(found)["z1"] == "linux-x-on-"
    assert found.groups[0].stemcells["z1"].cpi == "a"
    # What is in no AZ, or in one without a CPI, is on the CPI that was the default.
    assert cids(resolved([copy("")], "[z3]", cpis=renamed)) == {"z3": "linux-x-on-"}


def test_the_default_cpi_stays_what_it_is_beside_others() -> None:
    assert cids(resolved([copy("")], "[z3]")) == {"z3": "linux-x-on-"}
    assert cids(resolved([copy("")], "null", net="none")) == {None: "linux-x-on-"}


@pytest.mark.parametrize(
    ("cpis", "fix"),
    [
        ("cpis: [{name: a, type: x}, {name: bb, type: x}]", "did you mean 'bb'?"),
        ("", "remove 'cpi', or set a CPI config"),
    ],
)
def test_an_unknown_cpi(cpis: str, fix: str) -> None:
    (error,) = errors_of([copy("a")], "[z2]", cpis=cpis)  # once, though two groups use it
    assert isinstance(error, CloudConfigError)
    assert str(error).startswith("c.yml:3:19: AZ 'z2' uses unknown CPI 'b'")
    assert fix in str(error)


def test_an_az_nobody_uses_may_name_what_it_likes() -> None:
    assert cids(resolved([copy("a")], "[z1]", cpis="cpis: [{name: a, type: x}]"))


@pytest.mark.parametrize(
    ("copies", "azs", "net", "place", "words"),
    [
        (
            [copy("a")],
            "[z1, z2]",
            "net",
            "m.yml:6:25",
            ("not uploaded to CPI 'b', which is that of AZ 'z2'", "director upload-stemcell"),
        ),
        (
            [copy("a")],
            "[z3]",
            "net",
            "m.yml:6:21",
            ("not uploaded to the default CPI", "give AZ 'z3' a 'cpi'", "'a', 'b'"),
        ),
        ([copy("a")], "null", "none", "m.yml:6:66", ("the default CPI", "use AZs")),
        (
            [*BOTH, copy("a", version="2")],
            "[z1, z2]",
            "net",
            "m.yml:6:25",
            ("stemcell 'linux-x/2' is not uploaded to CPI 'b'",),
        ),
    ],
)
def test_a_cpi_without_the_stemcell(
    copies: list[Stemcell], azs: str, net: str, place: str, words: tuple[str, ...]
) -> None:
    found = errors_of(copies, azs, net=net)
    assert len(found) == 2, "each group has its own"
    assert isinstance(found[0], StemcellNotFound)
    assert str(found[0].where) == place
    for word in words:
        assert word in str(found[0])
