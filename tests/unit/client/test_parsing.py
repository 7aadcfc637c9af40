"""What a director writes line by line, read as records."""

from __future__ import annotations

import json

import pytest

from director.client.access import SshHost, parse_hosts
from director.client.errands import parse_results
from director.client.events import EventLines, parse_event
from director.client.instances import parse_full
from director.model.errors import DirectorRefused

STEP = {"time": 5, "stage": "Updating instance", "tags": ["redis"], "total": 3, "index": 1}


def test_a_line_cut_in_two_is_one_event():
    line = json.dumps({**STEP, "task": "redis/0", "state": "started", "progress": 0}) + "\n"
    lines = EventLines()
    assert lines.feed(line[:20].encode()) == []
    (event,) = lines.feed(line[20:].encode())
    assert event.heading == "Updating instance redis"
    assert event.step == ("Updating instance", ("redis",), "redis/0")


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ('{"time":1,"error":{"code":100,"message":"broken"}}', "error", "broken"),
        ('{"time":1,"type":"warning","message":"careful"}', "warning", "careful"),
        ('{"time":1,"type":"deprecation","message":"old"}', "deprecation", "old"),
        (json.dumps({**STEP, "state": "failed", "data": {"error": "no"}}), "progress", "no"),
    ],
)
def test_kinds_of_lines(line, kind, message):
    event = parse_event(line.encode())
    assert event is not None
    assert (event.kind, event.message) == (kind, message)


@pytest.mark.parametrize("line", ["", "oops", "[]", "3", '{"time":"x"}', "{}"])
def test_what_is_no_event_is_left_out(line):
    assert parse_event(line.encode()) is None


def test_errand_results_are_objects_one_after_another():
    one = {"instance": {"group": "g", "id": "i"}, "exit_code": 0, "stdout": "a", "stderr": ""}
    text = json.dumps(one) + "\n" + json.dumps({**one, "exit_code": 3, "logs": None})
    assert [result.exit_code for result in parse_results(text)] == [0, 3]
    assert parse_results("") == []


def test_instance_without_vm():
    row = {
        "vm_cid": None,
        "active": None,
        "agent_id": None,
        "job_name": "redis",
        "index": 1,
        "job_state": None,
        "state": "detached",
        "vm_type": None,
        "ips": [],
        "processes": [],
        "vitals": None,
        "id": "abc",
        "stemcell": {"name": None, "version": None},
    }
    (info,) = parse_full(json.dumps(row) + "\n\n")
    assert (info.name, info.vm_cid, info.stemcell, info.is_running) == ("redis/abc", "", "", False)


def test_running_is_blank_without_processes():
    (info,) = parse_full(json.dumps({"job_name": "a", "id": "1", "job_state": "running"}))
    assert (info.shown_state, info.is_running) == ("", True)


def test_hosts():
    row = {"status": "success", "ip": "10.0.0.2", "host_public_key": "k", "id": "u", "job": "g"}
    assert parse_hosts(json.dumps([row])) == [
        SshHost(group="g", id="u", address="10.0.0.2", host_public_key="k")
    ]
    with pytest.raises(DirectorRefused, match="no instance matches"):
        parse_hosts("[]")
    with pytest.raises(DirectorRefused, match="'g/u' could not be made"):
        parse_hosts(json.dumps([{**row, "status": "failed"}]))
