"""SSH: verified hosts, a private key of one's own, and command lines nothing slips into."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from director.cli.commands.logs import tail_script
from director.cli.commands.scp import remote_target, split_remote
from director.cli.slugs import Target, name_and_version, one_instance, target
from director.cli.ssh import Gateway, gateway_options, known_hosts_text, make_key
from director.client.access import SshHost
from director.model.errors import UsageError

HOST = SshHost(group="redis", id="u1", address="10.0.0.2", host_public_key="ssh-ed25519 AAAA c")

FAKE_SSH = """\
#!/bin/sh
# Stands in for ssh: shows what it was called with, and the files it was given.
for word; do
  case $word in
    IdentityFile=*) stat -c 'key mode %a' "${word#*=}" ;;
    UserKnownHostsFile=*) cat "${word#*=}" ;;
    -*|*=*) ;;
    *) echo "argument $word" ;;
  esac
done
echo to-stderr >&2
case "$*" in *fail*) exit 3 ;; esac
"""


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ssh", "scp"):
        (folder / name).write_text(FAKE_SSH)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def reachable(director):
    """A director that makes the temporary user on two instances."""
    rows = [
        {
            "command": "setup",
            "status": "success",
            "ip": f"10.0.0.{n}",
            "host_public_key": f"ssh-ed25519 AAAA{n}",
            "id": f"u{n}",
            "index": n,
            "job": "redis",
        }
        for n in (1, 2)
    ]

    director.starts("POST /deployments/redis/ssh", result_output=json.dumps(rows))
    return director


def test_command_on_several(cli, reachable, fake_ssh):
    ran = cli("ssh", "redis", "-c", "uptime -p", "-d", "redis")
    assert ran.code == 0, ran.err
    setup, cleanup = (json.loads(r.content) for r in reachable.asked("POST /deployments/redis/ssh"))
    user = setup["params"]["user"]
    assert user.startswith("bosh_")
    assert setup["params"]["public_key"].startswith("ssh-ed25519 ")
    assert setup["target"] == {"ids": [], "indexes": [], "job": "redis"}
    assert (cleanup["command"], cleanup["params"]) == ("cleanup", {"user_regex": f"^{user}"})
    lines = set(ran.out.splitlines())
    assert "redis/u1: stdout | argument uptime -p" in lines
    assert f"redis/u2: stdout | argument {user}@10.0.0.2" in lines
    assert "redis/u2: stdout | 10.0.0.1 ssh-ed25519 AAAA1" in lines
    assert "redis/u1: stdout | key mode 600" in lines
    assert "redis/u1: stderr | to-stderr" in lines


def test_results_and_failure(cli, reachable, fake_ssh):
    ran = cli("ssh", "-c", "fail", "-r", "-d", "redis", "--json")
    assert ran.code == 1
    assert [row["exit_code"] for row in ran.json["Tables"][0]["Rows"]] == ["3", "3"]
    assert "the command failed on 'redis/u1' (3), 'redis/u2' (3)" in ran.json["Lines"]
    assert len(reachable.asked("POST /deployments/redis/ssh")) == 2


def test_scp(cli, reachable, fake_ssh, tmp_path):
    ran = cli("scp", "redis:/var/x", f"{tmp_path}/((instance_id))", "-d", "redis")
    assert ran.code == 0, ran.err
    assert f"redis/u1: argument {tmp_path}/u1" in ran.err
    assert "@10.0.0.2:/var/x" in ran.err
    ran = cli("scp", "redis:/var/x", ".", "-d", "redis")
    assert ran.code == 1
    assert "2 instances would write to '.'" in ran.err


def test_no_host_no_session(cli, director, fake_ssh):
    director.starts("POST /deployments/redis/ssh", result_output="[]")
    ran = cli("ssh", "redis/9", "-c", "true", "-d", "redis")
    assert ran.code == 1
    assert "no instance matches" in ran.err


def test_key_is_private(tmp_path):
    path = tmp_path / "key"
    public = make_key(path)
    assert public.startswith("ssh-ed25519 ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_known_hosts_take_one_line_each():
    sly = SshHost(group="g", id="i", address="10.0.0.3", host_public_key="ssh-rsa B\n* ssh-rsa C")
    assert known_hosts_text([HOST, sly]) == "10.0.0.2 ssh-ed25519 AAAA\n10.0.0.3 ssh-rsa B\n"


@pytest.mark.parametrize(
    ("gateway", "part"),
    [
        (Gateway(host="gw", user="me", key="/k e y"), "-W %h:%p -l me gw"),
        (Gateway(), None),
    ],
)
def test_gateway(gateway, part):
    options = gateway_options(gateway, HOST)
    if part is None:
        assert options == []
        return
    words = shlex.split(options[1].removeprefix("ProxyCommand="))
    assert part in " ".join(words)
    assert "IdentityFile=/k e y" in words


def test_the_directors_gateway_can_be_refused():
    behind = SshHost(group="g", id="i", address="10.0.0.3", host_public_key="k", gateway_host="gw")
    assert "-l vcap gw" in gateway_options(Gateway(), behind)[1]
    assert gateway_options(Gateway(disabled=True), behind) == []


def test_tail_takes_patterns_as_patterns_only(tmp_path: Path):
    """The script is run in a real shell; what looks like a command in a pattern stays text."""
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "a b.log").write_text("one\ntwo\n")
    (tmp_path / "redis" / "other.txt").write_text("no\n")
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def run(patterns: list[str]) -> str:
        script = tail_script(
            folder=str(tmp_path), patterns=patterns, follow=False, num=1, quiet=True
        )
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout

    assert run([]) == "two\n"
    assert run(["redis/*.log"]) == "two\n"
    assert run([f"x' ; touch {tmp_path}/evil; '"]) == ""
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("redis/0:/a", ("redis/0", "/a")),
        (":/a", ("", "/a")),
        ("./a:b", None),
        ("/a:b", None),
        ("a", None),
    ],
)
def test_remote_paths(path, found):
    assert split_remote(path) == found


def test_remote_target():
    assert remote_target(["redis/0:/a", "redis/0:/b", "."]) == Target(group="redis", instance="0")
    assert remote_target(["a", ":/b"]) == Target()
    for paths in (["a", "b"], ["r/0:/a", "r/1:/a"], ["r/0:/a"]):
        with pytest.raises(UsageError):
            remote_target(paths)


def test_slugs():
    assert target("redis") == Target(group="redis")
    assert one_instance("redis/0") == ("redis", "0")
    assert name_and_version("a/1+dev.2", version_needed=True) == ("a", "1+dev.2")
    for text in ("/", "a/", "/a", "a/b/c"):
        with pytest.raises(UsageError):
            target(text)
