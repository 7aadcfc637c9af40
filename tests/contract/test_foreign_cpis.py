"""Executables that others wrote, good and bad, as CPIs of the director."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cpis.contract import (
    CloudError,
    Cpi,
    NotImplementedByCpi,
    VmCreationFailed,
    VmNotFound,
)
from cpis.external import ExternalCpi, executable
from cpis.external.properties import CPI_SCHEMA

UUID = "0f1d6c84-7c9f-4b4e-9c1e-0a1b2c3d4e5f"
NETWORKS = {
    "a": {"type": "manual", "ip": "10.0.0.5", "netmask": "255.255.255.0", "cloud_properties": {}},
    "b": {"type": "dynamic", "cloud_properties": {"net_id": "n"}},
}
ENV = {
    "bosh": {
        "group": "d-web",
        "authorized_keys": ["ssh-ed25519 AAAA x"],
        "ssh_host_key": {"private_key": "PEM-of-the-host", "public_key": "ssh-ed25519 BBBB y"},
    }
}

Make = Callable[..., ExternalCpi]

ANSWERS = """\
#!/bin/sh
# Keeps each request, says what the test wants said, and answers from a file per method.
request=$(cat)
printf '%s\\n' "$request" >> {here}/requests
env > {here}/environment
method=$(printf '%s' "$request" | sed 's/.*"method": "\\([a-z_]*\\)".*/\\1/')
cat {here}/stderr >&2 2>/dev/null
cat {here}/$method
exit 1
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write an executable: a script's text, or answers by method."""

    def make(script: str = "", /, *, stderr: str = "", config: Any = None, **answers: Any) -> Any:
        path = tmp_path / "cpi"
        path.write_text(script or ANSWERS.format(here=tmp_path))
        path.chmod(0o755)
        (tmp_path / "stderr").write_text(stderr)
        answers.setdefault("info", {"result": {"api_version": 2, "stemcell_formats": ["raw"]}})
        for method, answer in answers.items():
            text = answer if isinstance(answer, str) else json.dumps(answer)
            (tmp_path / method).write_text(text)
        return ExternalCpi(
            {"exec_path": str(path), "director_uuid": "uuid-1", "type": "odd", **(config or {})}
        )

    return make


@pytest.fixture
def requests(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in (tmp_path / "requests").read_text().splitlines()]


def error(message: str, kind: str = "Bosh::Clouds::CloudError", **more: Any) -> dict[str, Any]:
    return {"result": None, "error": {"type": kind, "message": message, **more}, "log": ""}


def create_vm(cpi: Cpi, env: Any = ENV) -> Any:
    return cpi.create_vm("agent", "stemcell", {}, NETWORKS, ["disk-1"], env)


# -- what is asked ------------------------------------------------------------------------------


def test_a_v2_cpi_is_asked_as_bosh_would(make: Make, requests: Callable) -> None:
    networks = {"a": {"ip": "10.0.0.5"}, "b": {"ip": "10.0.9.9", "gateway": "10.0.9.1"}}
    cpi = make(
        create_vm={"result": ["i-1", networks], "error": None, "log": "made"},
        attach_disk={"result": "/dev/sdf"},
        config={"properties": {"region": "r1", "vm": "not the director's"}},
    )
    cid, given = create_vm(cpi)
    assert cid == "i-1"
    assert given == {name: {**NETWORKS[name], **networks[name]} for name in NETWORKS}
    assert cpi.attach_disk("i-1", "vol-0a1b2c3d").split()[-1] == "/dev/sdf"
    info, create, attach = requests()
    assert info["method"] == "info"
    assert "api_version" not in info
    assert (create["api_version"], attach["api_version"]) == (2, 2)
    assert attach["arguments"] == ["i-1", "vol-0a1b2c3d"]
    context = create["context"]
    assert context["director_uuid"] == "uuid-1"
    assert context["region"] == "r1"
    assert context["vm"] == {"stemcell": {"api_version": 2}}
    ids = {one["context"]["request_id"] for one in (info, create, attach)}
    assert len(ids) == 3
    # BOSH's agent knows the one key and not the other.
    bosh = create["arguments"][5]["bosh"]
    assert bosh == {"group": "d-web", "authorized_keys": ["ssh-ed25519 AAAA x"]}


def test_a_v1_cpi_returns_less(make: Make, requests: Callable) -> None:
    cpi = make(
        info=error("Method is not known, got: 'info'", "InvalidCall"),
        create_vm={"result": "i-1", "error": None, "log": ""},
        attach_disk={"result": None, "error": None, "log": ""},
    )
    assert create_vm(cpi) == ("i-1", NETWORKS)
    assert cpi.attach_disk("i-1", UUID).startswith(f"/dev/disk/by-id/*{UUID}")
    assert [one["api_version"] for one in requests()[1:]] == [1, 1]
    info = cpi.info()
    assert (info.api_version, info.stemcell_formats) == (1, ())
    assert (info.host_keys, info.finds) == (False, False)


def test_without_the_extension_nobody_is_asked_for_it(make: Make, requests: Callable) -> None:
    cpi = make(create_disk={"result": "disk-1"})
    for find in (lambda: cpi.find_vm("a"), lambda: cpi.find_disk("t")):
        with pytest.raises(NotImplementedByCpi, match="'odd' has no 'find_"):
            find()
    assert cpi.console_output("i-1") == ""
    assert cpi.create_disk(10, {"type": "ssd"}, None, token="t") == "disk-1"
    assert requests()[-1]["arguments"] == [10, {"type": "ssd"}, None]
    assert {one["method"] for one in requests()} == {"info", "create_disk"}


def test_what_is_gone_was_deleted(make: Make) -> None:
    cpi = make(
        delete_vm=error("no VM", "Bosh::Clouds::VMNotFound"),
        delete_disk=error("no disk", "Bosh::Clouds::DiskNotFound"),
        reboot_vm=error("no VM", "Bosh::Clouds::VMNotFound"),
        has_disk=error("Must call implemented method", "Bosh::Clouds::NotImplemented"),
        update_disk={"result": "disk-1"},
    )
    cpi.delete_vm("i-1")
    cpi.delete_disk("disk-1")
    with pytest.raises(VmNotFound):
        cpi.reboot_vm("i-1")
    with pytest.raises(NotImplementedByCpi):
        cpi.has_disk("disk-1")
    assert cpi.update_disk("disk-1", 10, {}) is None


def test_one_without_labels_is_good_enough(make: Make) -> None:
    lacking = error("no such method", "Bosh::Clouds::NotImplemented")
    cpi = make(set_vm_metadata=lacking, set_disk_metadata=lacking, get_disks=lacking)
    cpi.set_vm_metadata("vm-1", {"name": "web/0"})
    cpi.set_disk_metadata("disk-1", {"name": "web/0"})
    with pytest.raises(NotImplementedByCpi):
        cpi.get_disks("vm-1")


def test_ok_to_retry_is_what_the_cpi_says(make: Make) -> None:
    kind = "Bosh::Clouds::VMCreationFailed"
    for told in (True, False):
        cpi = make(create_vm=error("no valid host", kind, ok_to_retry=told))
        with pytest.raises(VmCreationFailed, match="no valid host") as caught:
            create_vm(cpi)
        assert caught.value.ok_to_retry is told


def test_a_vm_whose_networks_cannot_be_read_is_not_lost(make: Make) -> None:
    assert create_vm(make(create_vm={"result": ["i-1", ["odd"]]})) == ("i-1", NETWORKS)


def test_info_is_asked_until_it_answers(make: Make, tmp_path: Path, requests: Callable) -> None:
    cpi = make(info=error("not now"), has_vm={"result": True})
    with pytest.raises(CloudError, match="not now"):
        cpi.has_vm("i-1")
    (tmp_path / "info").write_text('{"result": {"api_version": 3}}')
    assert cpi.has_vm("i-1")
    assert cpi.has_vm("i-1")
    assert [one["method"] for one in requests()] == ["info", "info", "has_vm", "has_vm"]
    assert requests()[-1]["api_version"] == 2


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "is no JSON"),
        ("Segmentation fault", "is no JSON"),
        ('{"result": true} trailing', "is no JSON"),
        ('{"result": "yes"}', "not true or false"),
        ("[" * 100_000, "nested too deep"),
        ('{"result": "\\ud800"}', "is no JSON"),
    ],
)
def test_a_broken_answer_shows_what_the_executable_said(make: Make, answer: str, says: str) -> None:
    cpi = make(has_vm=answer, stderr="starting\ncannot load such file -- fog\n")
    with pytest.raises(CloudError, match=says) as caught:
        cpi.has_vm("i-1")
    assert "'odd' answered to 'has_vm'" in caught.value.what
    assert "    cannot load such file -- fog" in caught.value.what
    assert not caught.value.ok_to_retry


def test_more_than_it_may_answer(make: Make) -> None:
    cpi = make("#!/bin/sh\nexec cat /dev/zero\n")
    with pytest.raises(CloudError, match="larger than 16 MiB"):
        cpi.info()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("#!/bin/sh\necho hanging >&2\necho $$ > {here}/pid\nsleep 300\n", id="itself"),
        pytest.param(
            "#!/bin/sh\necho hanging >&2\nsleep 300 &\necho $! > {here}/pid\nwait\n", id="its child"
        ),
    ],
)
def test_one_that_hangs_is_killed_with_all_it_started(
    make: Make, tmp_path: Path, script: str
) -> None:
    cpi = make(script.replace("{here}", str(tmp_path)), config={"timeout": 0.3})
    with pytest.raises(CloudError, match=r"did not answer within 0\.3 s") as caught:
        cpi.info()
    assert "hanging" in caught.value.what
    assert "'timeout'" in (caught.value.fix or "")
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_what_it_leaves_in_the_background_is_not_waited_for(make: Make, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    answer = '{"result": {"api_version": 2}}'
    cpi = make(f"#!/bin/sh\ncat >/dev/null\nsleep 300 &\necho $! > {pid}\necho '{answer}'\n")
    began = time.monotonic()
    try:
        assert cpi.info().api_version == 2
        assert time.monotonic() - began < 10
        assert is_running(int(pid.read_text()))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_one_that_does_not_read_its_request(make: Make) -> None:
    script = '#!/bin/sh\necho \'{"result": {"api_version": 2}}\'\n'
    assert make(script, config={"properties": {"a": "x" * 10**6}}).info().api_version == 2


@pytest.mark.parametrize(
    ("script", "mode", "says", "fix"),
    [
        (None, 0, "does not exist", "correct 'exec_path'"),
        ("#!/bin/sh\n", 0o644, "is not executable", "chmod +x"),
        ("#!/no/such/ruby\n", 0o755, "interpreter that does not exist", "first line"),
        ("\x7fELF nonsense", 0o755, "cannot be started", "program of this machine"),
    ],
)
def test_one_that_cannot_be_started(
    tmp_path: Path, script: str | None, mode: int, says: str, fix: str
) -> None:
    path = tmp_path / "cpi"
    if script is not None:
        path.write_text(script)
        path.chmod(mode)
    with pytest.raises(CloudError, match=says) as caught:
        ExternalCpi({"exec_path": str(path)}).info()
    assert fix in (caught.value.fix or "")


@pytest.mark.parametrize(
    "properties",
    [{}, {"exec_path": ""}, {"exec_path": "x", "timeout": 0}, {"exec_path": "x", "propertes": {}}],
)
def test_wrong_properties_are_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(CloudError):
        ExternalCpi(properties)


def test_every_property_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "external-cpis.md").read_text()
    assert [name for name in CPI_SCHEMA["properties"] if f"| `{name}` |" not in page] == []


# -- secrets and logs ---------------------------------------------------------------------------


def test_secrets_are_in_no_log_and_no_error(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cpis.external")
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEkeyline\n-----END RSA PRIVATE KEY-----"
    properties = {"password": "hunter22", "json_key": key, "region": "r1"}
    cpi = make(
        stderr="logging in as admin:hunter22\nMIIEkeyline\nat https://me:pw@cloud/v3\n",
        create_vm={**error("bad password hunter22"), "log": "key is MIIEkeyline\nnews"},
        config={"properties": properties},
    )
    env = {"bosh": {"mbus": {"cert": {"private_key": key}}, "password": "$6$salt$hash"}}
    with pytest.raises(CloudError) as caught:
        create_vm(cpi, env)
    assert caught.value.what == "bad password <redacted>"
    text = "\n".join(record.getMessage() for record in caplog.records)
    for secret in ("hunter22", "MIIEkeyline", "$6$salt$hash", "me:pw", "r1"):
        assert secret not in text
    for shown in ("logging in as admin:<redacted>", "key is <redacted>", "news", '"create_vm"'):
        assert shown in text
    assert "bad password <redacted>" in text
    assert {record.name for record in caplog.records} == {"cpis.external"}


def test_the_environment_holds_nothing_secret(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BOSH_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "DIRECTOR_X"):
        monkeypatch.setenv(name, "hunter22")
    monkeypatch.setenv("BOSH_PACKAGES_DIR", "/packages")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    make().info()
    text = (tmp_path / "environment").read_text()
    assert "hunter22" not in text
    assert "BOSH_PACKAGES_DIR=/packages" in text
    assert "https_proxy=http://proxy:3128" in text
    assert "PATH=" in text


def test_a_talkative_one_is_cut_short(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cpis.external")
    script = """#!/bin/sh
    cat > /dev/null
    head -c 600000 /dev/zero | tr '\\0' 'x' >&2
    yes 'the same line over and over' | head -c 2000000 >&2
    echo 'the end' >&2
    """
    with pytest.raises(CloudError, match="is no JSON") as caught:
        make(script).info()
    assert "the end" in caught.value.what
    assert len(caught.value.what) < 5_000
    text = [record.getMessage() for record in caplog.records]
    assert sum(map(len, text)) < 3_000_000
    assert any("is not logged" in line for line in text)


def test_calls_of_many_threads_run_at_once(make: Make) -> None:
    cpi = make(
        """#!/bin/sh
        case $(cat) in
        *'"info"'*) echo '{"result": {"api_version": 2}}' ;;
        *) sleep 0.5; echo '{"result": true}' ;;
        esac
        """
    )
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(lambda n: cpi.has_vm(f"i-{n}"), range(20)))
    assert time.monotonic() - began < 5, "twenty halves of a second after each other are ten"


def test_an_answer_in_the_last_moment_is_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # It ends between a look into its pipes and the look whether it runs: seldom, so often here.
    monkeypatch.setattr(executable, "_LOOK_S", 0.0005)
    answer = '{"result": {"api_version": 2}}'
    path = make(f"#!/bin/sh\ncat > /dev/null\nsleep 0.00$(($$ % 9))\necho '{answer}'\n")._program
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(path.ask, "info", (), api_version=2) for _ in range(200)]
    assert all(call.result() == {"api_version": 2} for call in calls)
