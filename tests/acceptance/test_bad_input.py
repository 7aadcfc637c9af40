"""Bad and hostile input: one clear error with its place and its fix, exit code 1, nothing lost.

Each test gives the command line something wrong and looks at what it says. The last one deploys
the right manifest again and sees that nothing had been touched.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_director import Director, prepare
from tiny_release import Job, write_tiny_release

pytestmark = pytest.mark.machines

Refuse = Callable[..., str]

CLOUD = """\
azs: [{name: z1}, {name: z2}]
vm_types:
- {name: small, cloud_properties: {cpu: 1, memory: 256}}
disk_types: [{name: disk, disk_size: 64}]
networks:
- name: default
  subnets:
  - {azs: [z1, z2], range: 10.231.0.0/25, gateway: 10.231.0.1, static: [10.231.0.100-10.231.0.110]}
- name: tiny
  subnets: [{azs: [z1, z2], range: 10.231.0.128/30, gateway: 10.231.0.129}]
compilation: {workers: 1, az: z1, vm_type: small, network: default}
"""

MANIFEST = """\
name: good
releases:
- {name: odd, version: latest}
stemcells:
- {alias: default, os: debian-12, version: latest}
update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1-5000, update_watch_time: 1-5000}
instance_groups:
- name: web
  azs: [z1]
  instances: 1
  vm_type: small
  stemcell: default
  networks: [{name: default, static_ips: [10.231.0.100]}]
  jobs:
  - name: web
    release: odd
    properties: {port: 80}
"""

JOBS = {
    "web": Job(
        templates={"config/port": "<%= p('port') %> <%= p('word') %>\n"},
        properties={"port": {}, "word": {"default": "hello"}},
        provides=[{"name": "site", "type": "site", "properties": ["port"]}],
    ),
    "mirror": Job(provides=[{"name": "copy", "type": "site"}]),
    "reader": Job(
        templates={"config/site": "<%= link('site').p('port') %>\n"},
        consumes=[{"name": "site", "type": "site"}],
    ),
    "raises": Job(
        templates={
            "config/one": "fine\n<%= p('missing') %>\n",
            "config/two": "\n\n<%= raise 'no luck' %>\n",
            "config/three": "<% if %>\n",
            "config/four": "a\n{{ p('absent') }}\n",
            "config/five": "{% for %}\n",
        },
        jinja=["config/four", "config/five"],
        properties={"missing": {}, "absent": {}},
    ),
}


@pytest.fixture(scope="module")
def place(
    homes: Path, stemcell_tarball: Path, tmp_path_factory: pytest.TempPathFactory
) -> Director:
    """A director with a deployment that runs: what bad input must not harm."""
    director = Director(home=homes / "bad-input", subnet="10.231.0")
    prepare(director, stemcell_tarball, CLOUD)
    files = tmp_path_factory.mktemp("bad-input")
    director.run("upload-release", write_tiny_release(files / "odd", JOBS))
    good = files / "good.yml"
    good.write_text(MANIFEST)
    director.run("deploy", good)
    return director


@pytest.fixture
def refuse(place: Director, tmp_path: Path) -> Refuse:
    """Return a function that runs a command, expects an error, and returns its text."""

    def run(*args: str | Path) -> str:
        done = place.run(*args, ok=False, cwd=tmp_path, timeout_s=120)
        told = f"{done.stdout}{done.stderr}"
        print(told)
        assert done.returncode == 1
        assert "Fix: " in told
        return told

    return run


def at(file: str, text: str, token: str) -> str:
    """Return where ``token`` stands in ``text`` for the first time."""
    place = text.index(token)
    return f"{file}:{text.count(chr(10), 0, place) + 1}:{place - text.rfind(chr(10), 0, place)}: "


# -- manifests ------------------------------------------------------------------------------------

WEB = "  - name: web\n    release: odd\n    properties: {port: 80}\n"
MIRROR = "  - {name: mirror, release: odd}\n"
READER = "  - {name: reader, release: odd}\n"

WRONG = {
    "no YAML": ("canaries: 1,", "canaries: 1:", ": max_in", ["not valid YAML"]),
    "a tab": ("  azs: [z1]", "\tazs: [z1]", "\tazs", ["tab"]),
    "a key twice": ("  azs: [z1]", "  azs: [z1]\n  azs: [z2]", "azs: [z2]", ["'azs'"]),
    "a wrong type": ("instances: 1", "instances: one", "one", ["'instances'", "'one'"]),
    "a list wanted": ("azs: [z1]", "azs: z1", "z1", ["'azs'", "[z1]"]),
    "an unknown key": ("vm_type:", "vm_typ:", "vm_typ:", ["'vm_typ'", "did you mean 'vm_type'?"]),
    "a key missing": ("  stemcell: default\n", "", "name: web", ["no 'stemcell'"]),
    "not supported": (
        "  azs: [z1]",
        "  persistent_disks: [{name: a, type: b}]",
        "persistent_disks",
        ["not supported"],
    ),
    "VM type": (
        "vm_type: small",
        "vm_type: smal",
        "smal",
        ["unknown vm_type", "did you mean 'small'?"],
    ),
    "network": ("{name: default,", "{name: defalt,", "defalt", ["did you mean 'default'?"]),
    "AZ": ("azs: [z1]", "azs: [z1, z9]", "z9", ["'z9'"]),
    "release": ("{name: odd,", "{name: od,", "od,", ["'od'", "upload"]),
    "a job's release": ("    release: odd", "    release: oddd", "oddd", ["did you mean 'odd'?"]),
    "release version": ("odd, version: latest", "odd, version: 7", "7", ["'7'"]),
    "stemcell alias": ("stemcell: default", "stemcell: defult", "defult", ["mean 'default'?"]),
    "stemcell": ("os: debian-12", "os: debian-13", "debian-13", ["debian-12"]),
    "job": ("- name: web\n    rel", "- name: webb\n    rel", "webb", ["did you mean 'web'?"]),
    "outside": (".0.100]", ".9.100]", "10.231.9.100", ["10.231.9.100", "range"]),
    "not static": (".0.100]", ".0.99]", "10.231.0.99", ["10.231.0.99", "static"]),
    "no address": (".100]", ".300]", "10.231.0.300", ["10.231.0.300"]),
    "no link": (WEB, READER, "{name: reader", ["'site'", "provided by no job"]),
    "two links": (WEB, WEB + MIRROR + READER, "{name: reader", ["several providers", "'from'"]),
    "no variable": ("{port: 80}", "{port: ((nix))}", "((nix))", ["'nix' has no value", "-v nix="]),
    "no value now": ("instances: 1", "instances: ((n))", "((n))", ["-v n=VALUE"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_manifest(refuse: Refuse, tmp_path: Path, case: str) -> None:
    old, new, token, words = WRONG[case]
    assert MANIFEST.count(old) >= 1
    text = MANIFEST.replace(old, new, 1)
    (tmp_path / "m.yml").write_text(text)
    told = refuse("deploy", "m.yml")
    assert at("m.yml", text, token) in told
    for word in words:
        assert word in told


def test_all_errors_are_told_at_once_and_in_the_order_of_the_file(
    refuse: Refuse, tmp_path: Path
) -> None:
    text = MANIFEST.replace("small", "smal").replace("{name: default,", "{name: x,")
    text = text.replace("- name: web\n    release", "- name: w\n    release")
    (tmp_path / "m.yml").write_text(text)
    told = refuse("deploy", "m.yml")
    last = told[told.rindex("Error: m.yml") :]
    places = [last.index(at("m.yml", text, token)) for token in ("smal", "x,", "w\n")]
    assert places == sorted(places)


def test_errors_stand_where_the_operator_wrote_them(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(MANIFEST)
    ops = "- {type: replace, path: /instance_groups/name=web/vm_type, value: ((type))}\n"
    (tmp_path / "ops.yml").write_text(ops)
    told = refuse("deploy", "m.yml", "-o", "ops.yml", "-v", "type=nix")
    assert at("ops.yml", ops, "((type))") + "instance group 'web' uses unknown vm_type" in told

    bad_path = ops.replace("name=web", "name=wbe")
    (tmp_path / "ops.yml").write_text(bad_path)
    assert at("ops.yml", bad_path, "/instance") in refuse("deploy", "m.yml", "-o", "ops.yml")


def test_every_variable_without_a_value_is_told(refuse: Refuse, tmp_path: Path) -> None:
    text = MANIFEST.replace("port: 80", "port: ((one)), word: 'a ((two.x))'")
    text += "variables:\n- {name: c, type: certificate, options: {common_name: x, ca: three}}\n"
    (tmp_path / "m.yml").write_text(text)
    told = refuse("deploy", "m.yml")
    for token, name in (("((one))", "one"), ("'a ((two", "two"), ("three", "three")):
        assert at("m.yml", text, token) + f"variable '{name}' has no value" in told


def test_a_property_no_job_declares_is_a_warning(place: Director, tmp_path: Path) -> None:
    text = MANIFEST.replace("port: 80", "port: 80, wrod: x")
    (tmp_path / "m.yml").write_text(text)
    warning = f"Warning: {at('m.yml', text, 'x}')}job 'web' has no property 'wrod'"
    for flags in ((), ("--dry-run",)):
        told = place.run("deploy", "m.yml", *flags, cwd=tmp_path).stdout
        assert warning in told
        assert "did you mean 'word'?" in told


# -- addresses ------------------------------------------------------------------------------------


def test_an_address_another_deployment_has(place: Director, refuse: Refuse, tmp_path: Path) -> None:
    text = MANIFEST.replace("name: good", "name: second")
    (tmp_path / "m.yml").write_text(text)
    told = refuse("deploy", "m.yml")
    assert at("m.yml", text, "10.231.0.100") in told
    assert "is in use by 'good/" in told
    (tmp_path / "m.yml").write_text(text.replace("0.100]", "0.101]"))
    assert "is new" in place.run("deploy", tmp_path / "m.yml", "--dry-run").stdout
    place.run("-d", "second", "delete-deployment")


def test_no_address_is_left(place: Director, refuse: Refuse, tmp_path: Path) -> None:
    text = MANIFEST.replace("name: good", "name: second").replace("instances: 1", "instances: 2")
    text = text.replace("{name: default, static_ips: [10.231.0.100]}", "{name: tiny}")
    (tmp_path / "m.yml").write_text(text)
    told = refuse("deploy", "m.yml")
    assert "no free address" in told
    assert "'tiny'" in told
    (tmp_path / "m.yml").write_text(text.replace("instances: 2", "instances: 1"))
    assert "is new" in place.run("deploy", tmp_path / "m.yml", "--dry-run").stdout
    place.run("-d", "second", "delete-deployment")


# -- cloud configs --------------------------------------------------------------------------------


def test_a_wrong_cloud_config_is_refused_at_once(
    place: Director, refuse: Refuse, tmp_path: Path
) -> None:
    text = CLOUD.replace("memory: 256}}\ndisk_t", "memory: 256}, x: 1}\ndisk_t")
    text = text.replace("gateway: 10.231.0.1,", "gateway: 10.9.0.1,")
    text = text.replace("vm_type: small, network", "vm_type: smal, network")
    text = text.replace("disk_size: 64", "disk_size: ((size))")
    (tmp_path / "c.yml").write_text(text)
    told = refuse("update-cloud-config", "c.yml")
    for token, words in (
        ("x: 1", "unknown key 'x'"),
        ("10.9.0.1", "gateway"),
        ("smal,", "unknown vm_type 'smal'"),
        ("((size))", "((size))"),
    ):
        found = told.partition(at("c.yml", text, token))[2]
        assert words in found.partition("\n")[0]
    assert place.run("cloud-config").stdout.strip() == CLOUD.strip()

    # What only the director fills in is not wrong, and -v corrects the size.
    right = CLOUD.replace("disk_size: 64", "disk_size: ((size)), cloud_properties: {k: ((/a/k))}")
    for given, flags in ((right, ("-v", "size=64")), (CLOUD, ())):
        (tmp_path / "c.yml").write_text(given)
        place.run("update-cloud-config", tmp_path / "c.yml", *flags)


# -- hostile documents ----------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE = {
    "bomb": (BOMB.encode(), "m.yml:", "aliases"),
    "of itself": (b"name: &a [*a]\n", "m.yml:1:11: ", "contains itself"),
    "merged into itself": (b"x: &x\n  <<: *x\n", "m.yml:2:7: ", "itself"),
    "deep": (b"a: " + b"[" * 100_000, "m.yml:1:", "deep"),
    "object": (b"name: !!python/object/apply:os.system [reboot]\n", "m.yml:1:7: ", "tag"),
    "two documents": (b"name: a\n---\nname: b\n", "m.yml:2:1: ", "document"),
    "binary": (b"name: \xff\xfe\n", "m.yml", "UTF-8"),
    "a control character": (b"name: a\x00b\n", "m.yml:1:8: ", "U+0000"),
    "a list": (b"- a\n", "m.yml:1:1: ", "mapping"),
    "12 MB": (b"# " + b"x" * 12_000_000, "m.yml:1:1: ", "10 MB is the limit"),
    "100 MB": (b"# " + b"x" * 100_000_000, "m.yml", "larger than 20 MB"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_document(refuse: Refuse, tmp_path: Path, case: str) -> None:
    content, where, words = HOSTILE[case]
    (tmp_path / "m.yml").write_bytes(content)
    for command in ("deploy", "update-cloud-config"):
        told = refuse(command, "m.yml")
        assert where in told
        assert words in told
        assert len(told) < 2000


@pytest.mark.parametrize("option", ["-o", "-l"])
def test_hostile_files_beside_the_manifest(refuse: Refuse, tmp_path: Path, option: str) -> None:
    (tmp_path / "m.yml").write_text(MANIFEST)
    (tmp_path / "beside.yml").write_text("- &a [*a]\n")
    assert "beside.yml:1:7: " in refuse("deploy", "m.yml", option, "beside.yml")
    assert "nowhere.yml" in refuse("deploy", "m.yml", option, "nowhere.yml")


# -- releases and stemcells -----------------------------------------------------------------------


def entry(name: str, type: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = type, link
    return made


ENTRIES = {
    "dotdot": (entry("../evil"), "'../evil'"),
    "dotdot inside": (entry("jobs/../../evil"), "evil"),
    "absolute": (entry("/tmp/director-evil"), "'/tmp/director-evil'"),
    "device": (entry("null", tarfile.CHRTYPE), "'null'"),
    "pipe": (entry("pipe", tarfile.FIFOTYPE), "'pipe'"),
    "link out": (entry("way", tarfile.SYMTYPE, "../../etc/passwd"), "'way'"),
    "hard link out": (entry("way", tarfile.LNKTYPE, "/etc/passwd"), "'way'"),
}
STEMCELL = b"name: s\nversion: '1'\noperating_system: x\nsha1: %s\n"


@pytest.fixture(scope="module")
def release_files(place: Director, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The members of a release's tarball that is right."""
    files = tmp_path_factory.mktemp("tarball")
    release = write_tiny_release(files / "tarred", {"web": JOBS["web"]})
    place.run("create-release", "--dir", release, "--tarball", files / "right.tgz", "--force")
    with tarfile.open(files / "right.tgz") as archive:
        opened = {member.name: archive.extractfile(member) for member in archive}
        return {name.removeprefix("./"): file.read() for name, file in opened.items() if file}


def pack(path: Path, files: Mapping[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            made = tarfile.TarInfo(name)
            made.size = len(content)
            archive.addfile(made, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


@pytest.mark.parametrize("case", ENTRIES)
@pytest.mark.parametrize("kind", ["release", "stemcell"])
def test_a_hostile_tarball(
    refuse: Refuse, release_files: Mapping[str, bytes], tmp_path: Path, kind: str, case: str
) -> None:
    member, words = ENTRIES[case]
    stemcell = {"stemcell.MF": STEMCELL % hashlib.sha1(b"").hexdigest().encode(), "image": b""}
    files = release_files if kind == "release" else stemcell
    told = refuse(f"upload-{kind}", pack(tmp_path / "evil.tgz", files, member))
    assert words in told
    assert not Path("/tmp/director-evil").exists()
    assert not list(tmp_path.parent.rglob("evil"))


def test_a_hostile_tarball_inside_a_release(
    refuse: Refuse, release_files: Mapping[str, bytes], tmp_path: Path
) -> None:
    inner = pack(tmp_path / "web.tgz", {"monit": b""}, entry("../../evil")).read_bytes()
    manifest = yaml.safe_load(release_files["release.MF"])
    manifest["jobs"][0]["sha1"] = "sha256:" + hashlib.sha256(inner).hexdigest()
    changed = {"release.MF": yaml.safe_dump(manifest).encode(), "jobs/web.tgz": inner}
    told = refuse("upload-release", pack(tmp_path / "evil.tgz", {**release_files, **changed}))
    assert "'../../evil'" in told
    assert "web" in told


def test_wrong_digests_and_what_is_no_tarball(
    place: Director, refuse: Refuse, release_files: Mapping[str, bytes], tmp_path: Path
) -> None:
    wrong = {**release_files, "jobs/web.tgz": release_files["jobs/web.tgz"] + b"x"}
    told = refuse("upload-release", pack(tmp_path / "r.tgz", wrong))
    assert "web" in told
    assert "digest" in told
    good = pack(tmp_path / "good.tgz", release_files)
    (tmp_path / "no.tgz").write_bytes(b"this is no tarball")
    (tmp_path / "cut.tgz").write_bytes(good.read_bytes()[:300])
    (tmp_path / "empty.tgz").write_bytes(b"")
    for name in ("no.tgz", "cut.tgz", "empty.tgz"):
        for kind in ("release", "stemcell"):
            assert name in refuse(f"upload-{kind}", tmp_path / name)
    for name, words in (("release.MF", "release.MF"), ("jobs/web.tgz", "archive of job 'web'")):
        left = {other: content for other, content in release_files.items() if other != name}
        assert words in refuse("upload-release", pack(tmp_path / "r.tgz", left))
    stemcell = {"stemcell.MF": STEMCELL % (b"0" * 40), "image": b"x"}
    assert "digest" in refuse("upload-stemcell", pack(tmp_path / "s.tgz", stemcell))
    place.run("upload-release", good)
    assert "tarred" in {row["name"] for row in place.rows("releases")}


# -- templates ------------------------------------------------------------------------------------


def test_all_errors_of_all_templates_are_told_at_once(
    place: Director, refuse: Refuse, tmp_path: Path
) -> None:
    text = MANIFEST.replace("- name: web\n    release", "- name: raises\n    release")
    text = text.replace("    properties: {port: 80}\n", "  - {name: web, release: odd}\n")
    (tmp_path / "m.yml").write_text(text)
    before = place.rows("-d", "good", "instances", "--details")
    told = refuse("deploy", "m.yml")
    for template, line, words in (
        ("raises/config-one.erb", 2, "'missing'"),
        ("raises/config-two.erb", 3, "no luck"),
        ("raises/config-three.erb", 1, ""),
        ("raises/config-four.j2", 2, "'absent'"),
        ("raises/config-five.j2", 1, ""),
        ("web/config-port.erb", 1, "'port'"),
    ):
        where = f"odd/{template}:{line}"
        assert where in told
        assert words in told[told.index(where) :].splitlines()[0]
    assert place.rows("-d", "good", "instances", "--details") == before


# -- what fails on a machine ----------------------------------------------------------------------


def deployment(name: str, release: Path, **group: Any) -> str:
    """Return the manifest of one instance with the job ``web`` of a release directory."""
    manifest = yaml.safe_load(MANIFEST)
    manifest["name"] = name
    manifest["releases"] = [{"name": release.name, "version": "create", "url": f"file://{release}"}]
    jobs = [{"name": "web", "release": release.name}]
    change = {"networks": [{"name": "default"}], "jobs": jobs, **group}
    manifest["instance_groups"][0].update(change)
    return yaml.safe_dump(manifest, sort_keys=False)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A job that fails, what is told of it, and the one that puts it right."""

    wrong: Job
    right: Job
    told: Sequence[str]
    packages: Mapping[str, str] = field(default_factory=dict)
    right_packages: Mapping[str, str] = field(default_factory=dict)


FAILURES = {
    "packaging": Failure(
        wrong=Job(packages=["part"]),
        right=Job(packages=["part"]),
        packages={"part": "echo building\necho 'no such header' >&2\nexit 3\n"},
        right_packages={"part": "echo built >$BOSH_INSTALL_TARGET/it\n"},
        told=["package 'part/", "no such header", "exit code 3"],
    ),
    "process": Failure(
        wrong=Job(templates={"bin/ctl": "#!/bin/sh\necho 'cannot bind' >&2\nexit 1\n"}),
        right=Job(),
        told=["Error: 'web/", "not all processes run", "'web'"],
    ),
    "monit file": Failure(
        wrong=Job(monit="check process web\n  with pidfile nonsense and more\n"),
        right=Job(),
        told=["Error: 'web/", "job 'web', monit file, line 2", "syntax error"],
    ),
    "pre-start": Failure(
        wrong=Job(templates={"bin/pre-start": "#!/bin/sh\necho 'not today' >&2\nexit 7\n"}),
        right=Job(templates={"bin/pre-start": "#!/bin/sh\n"}),
        told=["Error: 'web/", "pre-start", "not today", "exit code 7"],
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_fails_on_a_machine(
    place: Director, refuse: Refuse, tmp_path: Path, case: str
) -> None:
    failure, name = FAILURES[case], case.replace(" ", "-")
    release = write_tiny_release(tmp_path / name, {"web": failure.wrong}, failure.packages)
    file = tmp_path / "m.yml"
    file.write_text(deployment(name, release))
    told = refuse("deploy", file)
    for words in failure.told:
        assert words in told
    assert place.rows("locks") == []

    write_tiny_release(release, {"web": failure.right}, failure.right_packages)
    file.write_text(deployment(name, release))
    place.run("deploy", file)
    rows = place.rows("-d", name, "instances", "--details")
    assert [row["process_state"] for row in rows] == ["running"]
    place.run("-d", name, "delete-deployment")


def test_a_full_disk(place: Director, refuse: Refuse, tmp_path: Path) -> None:
    def ssh(command: str) -> None:
        place.run("-d", "full", "ssh", "web", "-c", command)

    release = write_tiny_release(tmp_path / "full", {"web": Job()})
    file = tmp_path / "m.yml"
    file.write_text(deployment("full", release, persistent_disk=32))
    place.run("deploy", file)
    ssh("echo kept | sudo tee /var/vcap/store/proof")
    before = place.rows("-d", "full", "instances", "--details")

    # The director's own files do not fit: a small file system stands where packages are unpacked.
    packages = "/var/vcap/data/packages"
    ssh(f"sudo mkdir -p {packages} && sudo mount -t tmpfs -o size=1m none {packages}")
    big = {"part": "head -c 8M /dev/urandom >$BOSH_INSTALL_TARGET/big\n"}
    write_tiny_release(release, {"web": Job(packages=["part"])}, big)
    told = refuse("deploy", file)
    assert "Error: 'web/" in told
    assert "its disk is full" in told
    ssh(f"sudo umount {packages}")
    place.run("deploy", file)

    # The job's own files do not fit on its persistent disk.
    fill = "#!/bin/sh\nhead -c <%= p('mb') %>M /dev/zero >/var/vcap/store/big\n"
    for mb, works in ((99, False), (1, True)):
        job = Job(templates={"bin/pre-start": fill}, properties={"mb": {"default": mb}})
        write_tiny_release(release, {"web": job})
        if works:
            place.run("deploy", file)
            break
        told = refuse("deploy", file)
        assert "Error: 'web/" in told
        assert "No space left on device" in told
    ssh("grep kept /var/vcap/store/proof")
    after = place.rows("-d", "full", "instances", "--details")
    assert [row["process_state"] for row in after] == ["running"]
    assert [row["vm_cid"] for row in after] == [row["vm_cid"] for row in before]
    place.run("-d", "full", "delete-deployment")
    place.run("clean-up", "--all")


# -- nothing was lost -----------------------------------------------------------------------------


def test_nothing_was_lost(place: Director, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(MANIFEST)
    before = place.rows("-d", "good", "instances", "--details")
    told = place.run("deploy", tmp_path / "m.yml").stdout
    assert "Updating instance" not in told
    assert place.rows("-d", "good", "instances", "--details") == before
    assert [row["process_state"] for row in before] == ["running"]
    assert place.rows("locks") == []
    assert [row["name"] for row in place.rows("deployments")] == ["good"]
    assert [path.name for path in (place.home / "local" / "vms").glob("vm-*")] == [
        row["vm_cid"] for row in before
    ]
