"""A job's spec: read, and refused with everything wrong at once."""

from __future__ import annotations

import pytest

from director.model.errors import DirectorError, ErrorList, ReleaseInvalid
from director.model.release import LinkSpec, PropertySpec
from director.release.job_spec import read_job_spec

BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{next}: &{next} [{','.join([f'*{name}'] * 9)}]\n"
    for name, next in zip("abcdefg", "bcdefgh", strict=True)
)
FILES = {"job.MF", "monit", "templates/ctl.erb"}


def test_a_whole_spec() -> None:
    job = read_job_spec(
        """
name: web
templates: {ctl.erb: bin/ctl}
packages: [server]
provides: [{name: http, type: web, properties: [port]}]
consumes: [{name: db, type: sql, optional: true}]
properties:
  port: {description: the port, default: 80}
  tls.key: {}
  nothing:
""",
        file="spec",
        files=FILES,
    )
    assert job.templates == {"ctl.erb": "bin/ctl"}
    assert job.properties == (
        PropertySpec(name="port", description="the port", default=80),
        PropertySpec(name="tls.key"),
        PropertySpec(name="nothing"),
    )
    assert job.provides == (LinkSpec(name="http", type="web", properties=("port",)),)
    assert job.consumes == (LinkSpec(name="db", type="sql", optional=True),)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("name: web\ntemplates: {no.erb: bin/no}", "'no.erb', which does not exist"),
        ("name: web\ntemplates: {ctl.erb: ../ctl}", "leads out"),
        ("name: web\ntemplates: {ctl.erb: /bin/ctl}", "leads out"),
        ("name: web\ntemplates: {../../x: bin/x}", "leads out"),
        ("name: web\ntemplates: [ctl.erb]", "must map files to paths"),
        ("name: ../web", "is not a name"),
        ("name:", "is not a name"),
        ("name: web\npackages: [a/b]", "is not a name"),
        ("name: web\nprovides: [{name: a, type: b, properties: [nope]}]", "does not declare it"),
        ("name: web\nprovides: [{name: a}]", "malformed"),
        ("name: web\nconsumes: [{name: a, type: b}, {name: a, type: c}]", "twice"),
        ("name: web\nproperties: [port]", "must be a mapping"),
        ("name: web\nproperties: {port: 80}", "must be a mapping"),
        ("- web", "must be a mapping"),
        ("name: [", "not YAML"),
        ("a: &a [*a]", "unfolds"),
        (BOMB, "unfolds"),
    ],
)
def test_what_is_wrong_is_said(spec: str, words: str) -> None:
    with pytest.raises(DirectorError, match=words):
        read_job_spec(spec, file="spec", files=FILES)


def test_all_errors_come_at_once() -> None:
    with pytest.raises(ErrorList) as caught:
        read_job_spec(
            "name: web\ntemplates: {a: b, c: ../d}\n"
            "provides: [{name: a, type: b, properties: [x]}]",
            file="spec",
            files=(),
        )
    assert len(caught.value.errors) == 4
    assert all(isinstance(error, ReleaseInvalid) for error in caught.value.errors)
