"""A CPI as an executable: every request has an answer, and only an answer."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cpis.contract import VmCreationFailed
from cpis.memory import MemoryCpi
from cpis.serve import main, serve

VM = ["agent-1", "stemcell-1", {}, {"a": {"type": "manual", "ip": "10.0.0.5"}}, [], {}]


class Clumsy(MemoryCpi):
    """Fails in ways a CPI should not."""

    def has_vm(self, cid: str) -> bool:
        print("to standard output")
        raise ZeroDivisionError("hunter22 by zero")

    def reboot_vm(self, cid: str) -> None:
        sys.exit(3)

    def get_disks(self, vm_cid: str) -> Any:
        return [object()]

    def create_vm(self, *arguments: Any) -> Any:
        raise VmCreationFailed("no room for hunter22", ok_to_retry=True, fix="make room")


CLUMSY = f"{__name__}:Clumsy"


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    return {"state_file": str(tmp_path / "cloud")}


def ask(
    method: str,
    *arguments: Any,
    name: str = "cpis.memory:MemoryCpi",
    version: int | None = 2,
    file: str | None = None,
    **context: Any,
) -> dict[str, Any]:
    whole = {"director_uuid": "d", "request_id": "r-1", "vm": {}, **context}
    request = {"method": method, "arguments": arguments, "context": whole, "api_version": version}
    text, failed = serve(name, file, json.dumps(request).encode())
    answer: dict[str, Any] = json.loads(text)
    assert set(answer) == {"result", "error", "log"}
    assert failed == (answer["error"] is not None)
    return answer


def test_info_tells_what_this_director_can_use() -> None:
    assert ask("info")["result"] == {
        "api_version": 2,
        "stemcell_formats": ["memory", "director-rootfs"],
        "director": {"host_keys": True, "finds": True},
    }


def test_properties_come_from_the_context_laid_over_a_file(state: dict, tmp_path: Path) -> None:
    file = tmp_path / "properties.json"
    fault = {"method": "has_vm", "message": "no"}
    file.write_text(json.dumps({"state_file": "/nowhere/at/all", "faults": [fault]}))
    answer = ask("has_vm", "vm-1", file=str(file), **state)
    assert answer["error"]["message"] == "no"
    assert ask("has_vm", "vm-1", file=str(file), faults=[], **state)["result"] is False


def test_version_1_and_2_differ_in_two_answers(state: dict) -> None:
    ask("create_stemcell", "image", {}, **state)
    networks = {"a": {"type": "manual", "ip": "10.0.0.5"}}
    assert ask("create_vm", *VM, **state)["result"] == ["vm-1", networks]
    assert ask("create_vm", *VM, version=1, **state)["result"] == "vm-1"
    assert ask("create_vm", *VM, version=None, **state)["result"] == "vm-1"
    disk = ask("create_disk", 10, {}, None, "token", **state)["result"]
    assert ask("find_disk", "token", **state)["result"] == disk
    assert ask("attach_disk", "vm-1", disk, **state)["result"] == f"/dev/memory/{disk}"
    assert ask("attach_disk", "vm-1", disk, version=1, **state)["result"] is None
    assert ask("find_vm", "agent-1", **state)["result"] == "vm-1"
    assert ask("console_output", "vm-1", **state)["result"].endswith("ready\n")


def test_errors_keep_their_type_and_their_fix() -> None:
    assert ask("create_vm", *VM, name=CLUMSY)["error"] == {
        "type": "Bosh::Clouds::VMCreationFailed",
        "message": "no room for hunter22\n  Fix: make room",
        "ok_to_retry": True,
    }
    assert ask("reboot_vm", "vm-9")["error"]["type"] == "Bosh::Clouds::VMNotFound"


@pytest.mark.parametrize(
    ("method", "type_name", "says"),
    [
        ("has_vm", "Bosh::Clouds::CloudError", "failed: ZeroDivisionError"),
        ("reboot_vm", "Bosh::Clouds::CloudError", "failed: SystemExit: 3"),
        ("get_disks", "InvalidCall", "cannot be written as JSON"),
        ("create_network", "Bosh::Clouds::NotImplemented", "is not known"),
    ],
)
def test_what_a_cpi_does_wrong_is_an_answer_too(method: str, type_name: str, says: str) -> None:
    error = ask(method, "vm-1", name=CLUMSY)["error"]
    assert error["type"] == type_name
    assert says in error["message"]
    assert error["ok_to_retry"] is False


def test_a_bug_is_told_in_the_log_without_the_secrets(
    state: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [{"method": "delete_vm", "message": "the secret is hunter22"}]
    answer = ask("has_vm", "vm-1", name=CLUMSY, faults=faults, **state)
    assert "Traceback" in answer["log"]
    assert "Traceback" in capsys.readouterr().err
    request = {
        "method": "set_vm_metadata",
        "arguments": ["vm-1", {"password": "hunter22"}],
        "context": {"faults": [{"method": "set_vm_metadata", "message": "it was hunter22"}]},
    }
    text, _ = serve("cpis.memory:MemoryCpi", None, json.dumps(request).encode())
    assert json.loads(text)["error"]["message"] == "it was <redacted>"


@pytest.mark.parametrize(
    ("name", "file", "request_text", "says"),
    [
        ("memry", None, b'{"method":"info","arguments":[]}', "did you mean 'memory'"),
        ("memory", "/nowhere", b'{"method":"info","arguments":[]}', "cannot be read"),
        ("memory", None, b'{"method":"info","arguments":[],"context":{"odd":1}}', "'odd'"),
        ("memory", None, b"", "is no JSON"),
        ("memory", None, b"[" * 100_000, "nested too deep"),
    ],
)
def test_wrong_calls_are_answered(
    name: str, file: str | None, request_text: bytes, says: str
) -> None:
    text, failed = serve(name, file, request_text)
    assert failed
    assert says in json.loads(text)["error"]["message"]


def test_a_properties_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text("[]")
    assert "no mapping" in ask("info", file=str(file))["error"]["message"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--help"], 0, "usage: director-cpi NAME"),
        ([], 2, "give the name of one CPI"),
        (["memory"], 2, "there is no request on standard input"),
        (["memory", "--propertes", "x"], 2, "what is 'memory --propertes x'?"),
        (["-x"], 2, "what is '-x'?"),
    ],
)
def test_by_hand(
    arguments: list[str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(arguments) == code
    shown = capsys.readouterr()
    text = shown.out if code == 0 else shown.err
    assert says in text
    assert "Installed CPIs: " in text
    assert "memory" in text


def test_standard_output_holds_the_answer_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = b'{"method":"has_vm","arguments":["vm-1"],"context":{"director_uuid":"d"}}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115 -- as it is outside pytest
        assert main([CLUMSY]) == 1
        sys.stdout.flush()
    shown = capfd.readouterr()
    assert json.loads(shown.out.splitlines()[0])["error"]["message"].startswith(
        f"the CPI '{CLUMSY}"
    )
