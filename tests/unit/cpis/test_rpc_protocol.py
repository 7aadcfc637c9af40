"""Requests, answers and errors of BOSH's CPI protocol, both ways."""

from __future__ import annotations

import datetime
import inspect
import json

import pytest

from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    Cpi,
    DiskNotAttached,
    NoDiskSpace,
    NotImplementedByCpi,
    NotSupportedByCpi,
    VmCreationFailed,
    VmNotFound,
)
from cpis.rpc.json_text import Malformed, from_json, to_json
from cpis.rpc.methods import METHODS
from cpis.rpc.protocol import (
    Answer,
    Request,
    answer_from_json,
    answer_to_json,
    error_from_json,
    error_to_json,
    request_from_json,
    request_to_json,
)

VM = ["agent", "stemcell", {}, {}, [], {}]


def request(method: str, arguments: object, **more: object) -> bytes:
    given = {"method": method, "arguments": arguments, "context": {"director_uuid": "d"}}
    return json.dumps({**given, **more}).encode()


def test_the_table_has_every_method_of_a_cpi_with_its_arguments() -> None:
    methods = {name: f for name, f in vars(Cpi).items() if name[0] != "_" and callable(f)}
    assert set(METHODS) == set(methods)
    for name, function in methods.items():
        assert len(METHODS[name].arguments) == len(inspect.signature(function).parameters) - 1


def test_a_request_survives_the_way() -> None:
    sent = Request(method="create_vm", arguments=VM, context={"a": 1}, api_version=2)
    assert request_from_json(request_to_json(sent)) == sent


def test_what_was_left_out_is_filled_up() -> None:
    assert request_from_json(request("create_disk", [5, {}])).arguments == [5, {}, None, ""]
    assert request_from_json(request("create_disk", [5, {}, "vm"])).arguments == [5, {}, "vm", ""]
    assert request_from_json(request("create_vm", VM[:5])).arguments[5] == {}
    assert request_from_json(request("info", [])).api_version is None


def test_arguments_of_later_versions_are_passed_over() -> None:
    given = ["/image", {}, {"tags": {}}]
    assert request_from_json(request("create_stemcell", given)).arguments == given[:2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is no JSON"),
        (b"[]", "no mapping with a 'method'"),
        (b'{"method": 1}', "no mapping with a 'method'"),
        (b'{"method": "info"}', "lacks the list 'arguments'"),
        (request("info", {}), "lacks the list 'arguments'"),
        (request("info", [], context=[]), "lacks the list 'arguments'"),
        (request("info", [], api_version="2"), "'api_version'"),
        (request("info", [], api_version=True), "'api_version'"),
        (request("delete_vm", []), "has 0 arguments, and 'delete_vm' takes 1"),
        (request("delete_vm", [{}]), "argument 1 of 'delete_vm' that is not a cloud id"),
        (request("delete_vm", [""]), "not a cloud id"),
        (request("delete_vm", ["a\nb"]), "not a cloud id"),
        (request("create_disk", [True, {}]), "not a whole number of MiB"),
        (request("create_disk", [1.5, {}]), "not a whole number of MiB"),
        (request("create_vm", [*VM[:4], ["d", None], {}]), "not a list of cloud ids"),
    ],
)
def test_malformed_requests_are_refused(text: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        request_from_json(text)


def test_an_unknown_method_is_not_implemented() -> None:
    with pytest.raises(NotImplementedByCpi):
        request_from_json(request("create_network", [{}]))


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("create_vm", "vm-1"),
        ("create_vm", ["vm-1", {"a": {"ip": "10.0.0.1"}}]),
        ("create_vm", ["vm-1", None]),
        ("attach_disk", None),
        ("attach_disk", "/dev/sdc"),
        ("attach_disk", {"id": "x"}),
        ("has_vm", False),
        ("get_disks", []),
        ("update_disk", None),
        ("reboot_vm", ""),
        ("info", None),
    ],
)
def test_answers_survive_the_way(method: str, result: object) -> None:
    text = answer_to_json(Answer(result=result, log="said"))
    assert answer_from_json(text, method) == Answer(result=result, log="said")


@pytest.mark.parametrize(
    ("method", "text", "says"),
    [
        ("has_vm", "", "is no JSON"),
        ("has_vm", "\x1b[31mboom", "is no JSON"),
        ("has_vm", "null", "is no mapping"),
        ("has_vm", "{}", "neither 'result' nor 'error'"),
        ("has_vm", '{"result": "true"}', "not true or false"),
        ("has_vm", '{"result": 1}', "not true or false"),
        ("create_vm", '{"result": []}', "not a cloud id, or a list"),
        ("create_vm", '{"result": {"cid": "x"}}', "not a cloud id, or a list"),
        ("create_vm", '{"result": null, "error": null}', "not a cloud id"),
        ("create_disk", '{"result": "a\\u0000"}', "not a cloud id"),
        ("create_disk", '{"result": "\\ud800"}', "is no JSON"),
        ("create_disk", '{"result": 7}', "not a cloud id"),
        ("get_disks", '{"result": {}}', "not a list"),
        ("attach_disk", '{"result": [1]}', "not a device hint"),
        ("calculate_vm_cloud_properties", '{"result": NaN}', "NaN is no number"),
        ("calculate_vm_cloud_properties", '{"result": ' + "9" * 5000 + "}", "is no JSON"),
        ("info", "[" * 200_000, "nested too deep"),
        ("info", '{"result": ' + '{"a":' * 100 + "1" + "}" * 101, "nested too deep"),
    ],
)
def test_malformed_answers_are_refused(method: str, text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        answer_from_json(text.encode(), method)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(Malformed, match="byte 12 is no UTF-8"):
        answer_from_json(b'{"result": "\xff"}', "create_disk")


ERRORS = (
    *(CloudError, VmCreationFailed, VmNotFound, CloudDiskNotFound, DiskNotAttached),
    *(NoDiskSpace, NotImplementedByCpi, NotSupportedByCpi),
)


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("again", [True, False])
def test_errors_survive_the_way_with_their_fix(kind: type[CloudError], again: bool) -> None:
    sent = kind("it is full", ok_to_retry=again, fix="make room")
    got = error_from_json(error_to_json(sent), "create_vm")
    assert (type(got), got.what, got.fix, got.ok_to_retry) == (kind, "it is full", sent.fix, again)


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        ({"type": "Bosh::Clouds::CpiError", "message": "m"}, CloudError, "m"),
        ({"type": "InvalidCall", "message": "Arguments"}, CloudError, "Arguments"),
        (
            {"type": "InvalidCall", "message": "Method is not known, got: 'info'"},
            NotImplementedByCpi,
            "Method is not known",
        ),
        (
            {"type": "Bosh::Clouds::CloudError", "message": "Invalid Method: has_disk"},
            NotImplementedByCpi,
            "Invalid Method",
        ),
        ({"type": "Unknown", "message": "undefined method"}, CloudError, "undefined method"),
        ({"type": "Bosh::AwsCloud::Odd", "message": "m"}, CloudError, "m (Bosh::AwsCloud::Odd)"),
        ({"type": None, "message": {"a": 1}}, CloudError, '{"a": 1}'),
        ({"type": ["x"], "message": ""}, CloudError, "did not say why"),
        ("just text", CloudError, "just text"),
        ([], CloudError, "[]"),
    ],
)
def test_errors_of_all_kinds_are_read(data: object, kind: type, says: str) -> None:
    error = error_from_json(data, "create_vm")
    assert type(error) is kind
    assert says in error.what
    assert error.ok_to_retry is False


def test_only_true_is_ok_to_retry() -> None:
    data = {"type": "Bosh::Clouds::VMCreationFailed", "message": "m", "ok_to_retry": "yes"}
    assert error_from_json(data, "create_vm").ok_to_retry is False


def test_what_yaml_reads_is_written() -> None:
    data = {"since": datetime.date(2024, 1, 2), "pair": ("a", 1)}
    assert from_json(to_json(data)) == {"since": "2024-01-02", "pair": ["a", 1]}
    for odd in (object(), float("nan"), {"a": b"bytes"}):
        with pytest.raises(Malformed):
            to_json({"a": odd})
