from __future__ import annotations

from dataclasses import replace

import pytest
from builders import group, job, package, release, resolved, stemcell

from director.model.errors import CompileError, ErrorList
from director.plan.compile_order import compiled_key, to_compile

CONTENT = release(
    jobs=[job("web", "app")],
    packages=[
        package("app", "ruby"),
        package("ruby", "openssl", "zlib"),
        package("openssl", "zlib"),
        package("zlib"),
        package("unused"),
    ],
)


def names(deployment, *compiled):
    return [step.package.name for step in to_compile(deployment, set(compiled))]


def key(name, content=CONTENT, on=None):
    return compiled_key(content, name, on or stemcell())


def test_dependencies_come_first_and_what_no_job_needs_not_at_all():
    assert names(resolved(group(releases=[CONTENT]))) == ["zlib", "openssl", "ruby", "app"]


@pytest.mark.parametrize(
    ("compiled", "expected"),
    [
        pytest.param(["app"], [], id="what is compiled needs nothing more"),
        pytest.param(["ruby"], ["zlib", "openssl", "app"], id="its dependencies are installed too"),
        pytest.param(["zlib", "openssl", "ruby"], ["app"], id="only what is missing"),
    ],
)
def test_what_is_compiled_already(compiled, expected):
    assert names(resolved(group(releases=[CONTENT])), *map(key, compiled)) == expected


def test_another_dependency_is_another_package():
    changed = replace(
        CONTENT, packages={**CONTENT.packages, "zlib": package("zlib", fingerprint="new")}
    )
    assert key("app") != key("app", changed)
    assert names(resolved(group(releases=[changed])), key("app")) == [
        "zlib",
        "openssl",
        "ruby",
        "app",
    ]


def test_once_per_stemcell_and_not_twice_for_two_groups():
    deployment = resolved(
        group("a"), group("b"), group("c", stemcell=stemcell("2")), group("d", instances=0)
    )
    assert [str(s.stemcell) for s in to_compile(deployment, set())] == [
        "director-debian-12/1",
        "director-debian-12/2",
    ]


def test_the_same_package_of_two_releases_is_compiled_once():
    other = release("fork")
    assert names(resolved(group("a"), group("b", releases=[other]))) == ["redis-server"]


def test_every_package_without_source_is_told():
    bare = {n: replace(p, blob=None) for n, p in CONTENT.packages.items() if n != "ruby"}
    content = replace(CONTENT, packages={**CONTENT.packages, **bare})
    with pytest.raises(ErrorList) as caught:
        to_compile(resolved(group(releases=[content])), {key("zlib", content)})
    assert len(caught.value.errors) == 2
    assert all(isinstance(e, CompileError) and e.fix for e in caught.value.errors)
    assert names(resolved(group(releases=[content])), key("app", content)) == []
