"""Command lines from end to end, against a director that answers from a table."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import httpx
import pytest

MANIFEST = """\
# a small deployment
name: redis
releases:
- {name: redis, version: latest}
instance_groups:
- name: redis
  instances: ((count))
  vm_type: small
"""
DEPLOYMENTS = [
    {
        "name": "redis",
        "teams": [],
        "cloud_config": "latest",
        "stemcells": [{"name": "debian-12", "version": "1.2"}],
        "releases": [{"name": "a", "version": "1"}, {"name": "redis", "version": "2"}],
    }
]


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "redis.yml"
    path.write_text(MANIFEST)
    return str(path)


@pytest.fixture
def deployable(director, events):
    """A director that takes the deploy of the manifest."""
    diff = [["name: redis", "added"], ["old: 1", "removed"], ["properties: <redacted>", None]]
    context = {"cloud_config_ids": [1], "runtime_config_ids": []}
    director.answer("POST /deployments/redis/diff", {"context": context, "diff": diff})
    director.starts(
        "POST /deployments",
        event=events("Preparing deployment", "Preparing deployment", "started")
        + events("Preparing deployment", "Preparing deployment", "finished"),
        result="/deployments/redis",
    )
    return director


def test_deploy(cli, deployable, manifest):
    ran = cli("deploy", manifest, "-v", "count=3", "-n")
    assert ran.code == 0, ran.err
    (sent,) = deployable.asked("POST /deployments")
    assert b"instances: 3" in sent.content
    query = parse_qs(sent.url.query.decode())
    assert json.loads(query["context"][0])["cloud_config_ids"] == [1]
    assert "+ name: redis\n- old: 1\n  properties: <redacted>\n" in ran.out
    assert "Preparing deployment: Preparing deployment (00:00:00)\n" in ran.out
    assert deployable.asked("POST /deployments/redis/diff")[0].url.params["redact"] == "true"


def test_a_manifest_nothing_is_done_to_is_sent_as_written(cli, deployable, manifest):
    assert cli("deploy", manifest, "-n").code == 0
    assert deployable.asked("POST /deployments")[0].content.decode() == MANIFEST


def test_deploy_flags(cli, deployable, manifest):
    flags = ["--recreate", "--fix", "--skip-drain", "--canaries=50%", "--max-in-flight", "2"]
    assert cli("-n", "deploy", *flags, "--no-redact", manifest).code == 0
    query = deployable.asked("POST /deployments")[0].url.params
    wanted = {"recreate": "true", "fix": "true", "skip_drain": "*", "canaries": "50%"}
    assert {key: query[key] for key in wanted} == wanted
    assert query["max_in_flight"] == "2"
    assert deployable.asked("POST /deployments/redis/diff")[0].url.params["redact"] == "false"


def test_skip_drain_of_groups(cli, deployable, manifest):
    assert cli("deploy", "--skip-drain=a", "--skip-drain=b/0", manifest, "-n").code == 0
    assert deployable.asked("POST /deployments")[0].url.params["skip_drain"] == "a,b/0"


def test_without_terminal_and_without_n_nothing_is_changed(cli, deployable, manifest):
    ran = cli("deploy", manifest)
    assert ran.code == 1
    assert "-n (--non-interactive)" in ran.err
    assert deployable.asked("POST /deployments") == []


def test_deployment_of_another_name(cli, deployable, manifest):
    ran = cli("deploy", manifest, "-d", "other", "-n")
    assert ran.code == 1
    assert "says 'other'" in ran.err


def test_failed_deploy(cli, deployable, manifest):
    """The error stands in the progress with the operator's own position, then the verdict."""
    deployable.starts(
        "POST /deployments",
        state="error",
        event='{"time":1,"error":{"code":1,"message":"manifest:8:12: unknown vm_type"}}\n',
    )
    ran = cli("deploy", manifest, "-v", "count=3", "-n")
    assert ran.code == 1
    assert f"Error: {manifest}:8:12: unknown vm_type" in ran.out
    assert "Expected task '2' to succeed but state is 'error'" in ran.err


def test_positions_after_an_ops_file(cli, deployable, manifest, tmp_path):
    """What an ops file put in front moves the text that is sent, not the position shown."""
    ops = tmp_path / "ops.yml"
    ops.write_text(
        "- type: replace\n"
        "  path: /instance_groups/0:before\n"
        "  value: {name: first, vm_type: wrong}\n"
    )
    seen = {}

    def refuse(request):
        text = request.content.decode().splitlines()
        for word, column in (("wrong", 12), ("small", 12)):
            line = next(n for n, row in enumerate(text, 1) if f"vm_type: {word}" in row)
            seen[word] = f"manifest:{line}:{column}: unknown"
        body = {"code": 1, "description": "\n".join(seen.values())}
        return httpx.Response(400, json=body)

    deployable.answer("POST /deployments", refuse)
    ran = cli("deploy", manifest, "-o", str(ops), "-n")
    assert ran.code == 1
    assert f"{ops}:3:33: unknown" in ran.err
    assert f"{manifest}:8:12: unknown" in ran.err


def test_dry_run_shows_the_plan_and_asks_nothing(cli, director, manifest):
    director.starts("POST /deployments", result_output="create redis/0: it is new\n")
    ran = cli("deploy", manifest, "--dry-run")
    assert (ran.code, ran.out) == (0, "create redis/0: it is new\n")
    assert director.asked("POST /deployments")[0].url.params["dry_run"] == "true"


def test_dry_run_uploads_nothing(cli, director, tmp_path):
    path = tmp_path / "m.yml"
    path.write_text("name: redis\nreleases:\n- {name: r, version: create, url: 'file://r'}\n")
    director.starts("POST /deployments")
    ran = cli("deploy", str(path), "--dry-run")
    assert ran.code == 0, ran.err
    assert "'r' is neither built nor uploaded" in ran.err
    sent = director.asked("POST /deployments")[0].content.decode()
    assert "version: latest" in sent
    assert "url" not in sent


@pytest.mark.parametrize(
    "args", [("-d", "redis", "manifest"), ("manifest", "-d", "redis"), ("man", "-d=redis")]
)
def test_global_options_stand_anywhere(cli, director, args):
    director.answer("GET /deployments/redis", {"manifest": "name: redis\n"})
    assert cli(*args).out == "name: redis\n"


def test_the_only_deployment_needs_no_name(cli, director):
    director.answer("GET /deployments", DEPLOYMENTS)
    director.answer("GET /deployments/redis", {"manifest": "name: redis\n"})
    assert cli("manifest").out == "name: redis\n"


def test_one_of_several_deployments_must_be_named(cli, director):
    director.answer("GET /deployments", [*DEPLOYMENTS, {"name": "other"}])
    ran = cli("manifest")
    assert (ran.code, ran.out) == (1, "")
    assert "name one with -d: redis, other" in ran.err


def test_json_shape(cli, director):
    director.answer("GET /deployments", DEPLOYMENTS)
    assert cli("deployments", "--json").json == {
        "Tables": [
            {
                "Content": "deployments",
                "Header": {
                    "name": "Name",
                    "release_s": "Release(s)",
                    "stemcell_s": "Stemcell(s)",
                    "team_s": "Team(s)",
                    "cloud_config": "Cloud Config",
                },
                "Rows": [
                    {
                        "name": "redis",
                        "release_s": "a/1\nredis/2",
                        "stemcell_s": "debian-12/1.2",
                        "team_s": "",
                        "cloud_config": "latest",
                    }
                ],
                "Notes": None,
            }
        ],
        "Blocks": None,
        "Lines": None,
    }


def test_json_of_an_error(cli, director):
    director.answer("GET /locks", {"code": 1, "description": "no"}, status=400)
    ran = cli("locks", "--json")
    assert ran.code == 1
    assert ran.json == {"Tables": None, "Blocks": None, "Lines": ["no", "Exit code 1"]}


def test_json_of_a_task_is_one_document(cli, deployable, manifest):
    document = cli("deploy", manifest, "-n", "--json").json
    assert document["Blocks"][:2] == ["+ name: redis", "- old: 1"]
    assert "Task 1 done" in document["Blocks"][-1]


def test_columns(cli, director):
    director.answer("GET /deployments", DEPLOYMENTS)
    assert cli("ds", "--column", "name", "--column", "Team(s)").out.split() == [
        *("Name", "Team(s)"),
        *("redis", "-"),
    ]
    ran = cli("ds", "--column", "nope")
    assert ran.code == 1
    assert "use one of name, release_s" in ran.err


def test_instances_in_a_pipe(cli, director, instance_row, as_lines):
    rows = [instance_row(index=1, ips=["10.0.0.1", "10.1.0.1"]), instance_row(job_state="failing")]
    director.starts("GET /deployments/redis/instances", result_output=as_lines(rows))
    ran = cli("instances", "-d", "redis", "--ps")
    table = [line.split() for line in ran.out.splitlines()]
    first = "redis/0d70bd1f-5f00-4f00-8f00-0123456789ab"
    assert table[0] == ["Instance", "Process", "Process", "State", "AZ", "IPs"]
    assert table[1] == [first, "-", "failing", "z1", "10.244.0.2"]
    assert table[2] == [first, "redis", "running", "-", "-"]
    assert table[3][-1] == "10.0.0.1,10.1.0.1"
    assert "Task" not in ran.out


def test_failing_instances_only(cli, director, instance_row, as_lines):
    rows = [instance_row(index=1), instance_row(job_state="failing")]
    director.starts("GET /deployments/redis/instances", result_output=as_lines(rows))
    out = cli("is", "-d", "redis", "-f").out
    assert [line.split("/")[0] for line in out.splitlines()[1:]] == ["redis"]


def test_a_failed_listing_says_why(cli, director):
    error = '{"time":1,"error":{"code":1,"message":"no such machine"}}\n'
    director.starts("GET /deployments/redis/vms", state="error", event=error)
    ran = cli("vms", "-d", "redis")
    assert ran.code == 1
    assert ran.err.startswith("no such machine\nExpected task '1' to succeed but state is 'error'")


@pytest.mark.parametrize(
    ("args", "path", "query"),
    [
        (["start"], "*", {"state": "started"}),
        (["stop", "redis"], "redis", {"state": "stopped"}),
        (["stop", "--hard", "redis/0"], "redis/0", {"state": "detached"}),
        (["restart", "--skip-drain"], "*", {"state": "restart", "skip_drain": "true"}),
        (["recreate", "redis/0d70"], "redis/0d70bd1f-1", {"state": "recreate"}),
        (
            ["recreate", "--fix", "--max-in-flight=2", "redis"],
            "redis",
            {"state": "recreate", "fix": "true", "max_in_flight": "2"},
        ),
    ],
)
def test_changes_of_state(cli, director, args, path, query):
    brief = [{"job": "redis", "id": "0d70bd1f-1"}, {"job": "other", "id": "0d70ffff-2"}]
    director.answer("GET /deployments/redis/instances", brief)
    director.starts(f"PUT /deployments/redis/jobs/{path}")
    assert cli(*args, "-d", "redis", "-n").code == 0
    (request,) = director.asked(f"PUT /deployments/redis/jobs/{path}")
    assert dict(request.url.params) == query
    assert request.headers["content-type"] == "text/yaml"


def test_errand_that_fails(cli, director):
    result = {"instance": {"group": "smoke", "id": "1"}, "exit_code": 3, "stdout": "hi\n"}
    director.starts("POST /deployments/redis/errands/smoke/runs", result_output=json.dumps(result))
    ran = cli("run-errand", "smoke", "-d", "redis", "--instance", "smoke/first", "--keep-alive")
    assert ran.code == 1
    assert "Errand 'smoke' completed with error (exit code 3)" in ran.err
    assert "hi" in ran.out
    (request,) = director.asked("POST /deployments/redis/errands/smoke/runs")
    assert json.loads(request.content) == {
        "keep-alive": True,
        "when-changed": False,
        "instances": [{"group": "smoke", "id": "first"}],
    }


def test_delete_of_what_is_not_there_succeeds(cli, director):
    missing = {"code": 70000, "description": "Deployment 'x' doesn't exist"}
    director.answer("DELETE /deployments/x", missing, status=404)
    director.answer("GET /deployments", DEPLOYMENTS)
    assert cli("delete-deployment", "-d", "x", "-n").code == 0


@pytest.mark.parametrize(
    ("args", "query"),
    [
        ([], {"state": "processing,cancelling,queued", "verbose": "2"}),
        (["--recent"], {"limit": "30", "verbose": "1"}),
        (["-r=5", "-a"], {"limit": "5", "verbose": "2"}),
        (["-r", "-d", "x"], {"limit": "30", "verbose": "1", "deployment": "x"}),
    ],
)
def test_tasks(cli, director, args, query):
    director.answer("GET /tasks", [])
    assert cli("tasks", *args).code == 0
    assert dict(director.requests[0].url.params) == query


def test_task_output(cli, director):
    number = director.starts("POST /x", result_output="the result\n")
    assert cli("task", str(number), "--result").out == "the result\n"


def test_cloud_config(cli, director, tmp_path):
    path = tmp_path / "cc.yml"
    path.write_text("azs: [{name: ((az))}]\n")
    director.answer("POST /configs/diff", {"from": {"id": "5"}, "diff": [["azs:", None]]})
    director.answer("POST /configs", {}, status=201)
    assert cli("update-cloud-config", str(path), "-v", "az=z1", "-n").code == 0
    body = json.loads(director.asked("POST /configs")[0].content)
    assert body["expected_latest_id"] == "5"
    assert (body["type"], body["name"]) == ("cloud", "default")
    assert "z1" in body["content"]


def test_cpi_config(cli, director, tmp_path):
    path = tmp_path / "cpis.yml"
    path.write_text(
        "cpis:\n- name: a\n  type: aws\n  properties: {key: ((key)), more: ((/later))}\n"
    )
    ops = tmp_path / "ops.yml"
    ops.write_text("- {type: replace, path: /cpis/name=a/type, value: asw}\n")
    director.answer("POST /configs/diff", {"from": {"id": "0"}, "diff": [["cpis:", "added"]]})
    refusal = {"code": 550000, "description": "cpi-config:more:3:9: unknown type 'asw'"}
    director.answer("POST /configs", refusal, status=400)
    given = (str(path), "-o", str(ops), "-v", "key=s3cret", "--name", "more", "-n")
    ran = cli("update-cpi-config", *given)
    assert ran.code == 1
    assert f"{ops}:1:51: unknown type 'asw'" in ran.err
    director.answer("POST /configs", {}, status=201)
    ran = cli("update-cpi-config", *given)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "+ cpis:\n"
    body = json.loads(director.asked("POST /configs")[-1].content)
    assert (body["type"], body["name"], body["expected_latest_id"]) == ("cpi", "more", "0")
    assert "key: s3cret" in body["content"]
    assert "((/later))" in body["content"]
    director.answer("GET /configs", [{"content": "cpis: []\n"}])
    assert cli("cpi-config", "--name", "more").out == "cpis: []\n"
    assert director.asked("GET /configs")[-1].url.params["type"] == "cpi"
    director.answer("GET /configs", [])
    assert "update-cpi-config cpi-config.yml" in cli("cpi-config").err


def test_no_cloud_config(cli, director):
    director.answer("GET /configs", [])
    ran = cli("cloud-config")
    assert ran.code == 1
    assert "update-cloud-config" in ran.err


def test_curl(cli, director):
    director.answer("GET /info", {"name": "me"})
    assert cli("curl", "/info").out == '{"name":"me"}\n'
    assert cli("curl", "/nope").code == 1


def test_logs(cli, director, tmp_path):
    director.starts("GET /deployments/redis/jobs/redis/0/logs", result="b10b")
    director.answer("GET /resources/b10b", lambda _: httpx.Response(200, content=b"tar"))
    ran = cli("logs", "redis/0", "-d", "redis", "--dir", str(tmp_path))
    (file,) = tmp_path.iterdir()
    assert ran.code == 0
    assert file.read_bytes() == b"tar"
    assert file.name.startswith("redis.redis.0-")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["frob"], "there is no command 'frob'"),
        (["deplyo"], "did you mean deploy"),
        (["cloud-check"], "that this director does not have"),
        (["deploy"], "Missing argument 'MANIFEST'"),
        (["locks", "--frob"], "No such option"),
        (["deploy", "/no/such/file"], "cannot be read: No such file"),
        (["stop", "a/b/c", "-d", "x"], "write GROUP, or GROUP/INDEX"),
        (["stop", "--soft", "--hard", "-d", "x"], "exclude each other"),
        (["attach-disk", "redis", "disk-1", "-d", "x"], "write GROUP/ID"),
        (["delete-stemcell", "debian"], "write NAME/VERSION"),
        (["disks"], "give --orphaned"),
        (["curl", "info"], "begin it with a slash"),
        (["ssh", "-d", "x"], "a shell needs a terminal"),
    ],
)
def test_wrong_use(cli, args, text):
    ran = cli(*args)
    assert (ran.code, ran.out) == (1, "")
    assert text in ran.err
    assert "Traceback" not in ran.err


def test_an_internal_error_is_one_line(cli, director):
    def explode(_):
        raise ZeroDivisionError("by\nzero")

    director.answer("GET /locks", explode)
    ran = cli("locks")
    assert ran.code == 1
    assert ran.err.splitlines()[0] == "internal error: ZeroDivisionError: by zero"
    with pytest.raises(ZeroDivisionError):
        cli("locks", "--debug")


def test_completion(cli):
    for shell in ("bash", "zsh", "fish"):
        assert "_DIRECTOR_COMPLETE" in cli("completion", shell).out
