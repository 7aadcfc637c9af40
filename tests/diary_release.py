"""A small release whose scripts keep a diary on the persistent disk: when each ran, and with what.

Nothing in it is compiled, so that deploying it is quick. A line of the diary reads
``TIME JOB SCRIPT [ARGUMENTS] NAME=VALUE...`` with the variables that begin with ``BOSH_``.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from samples import write

DIARY = "/var/vcap/store/diary"
SCRIPTS = ("pre-start", "post-start", "post-deploy", "pre-stop", "post-stop", "drain")

NOTE = f"""#!/bin/sh
job=$(basename "$(dirname "$(dirname "$0")")")
note() {{
  told=$(env | grep '^BOSH_' | sort | tr '\\n' ' ')
  echo "$(date +%s.%N) $job $script [$*] $told" >> {DIARY}
}}
"""

CTL = """
pid=/var/vcap/sys/run/diary/diary.pid
log=/var/vcap/sys/log/diary/diary.stdout.log
script=$1
note
case $1 in
  start)
    setsid sh -c 'while :; do echo "<%= p("word") %> $(date +%s)"; sleep 0.2; done' \\
      >>"$log" 2>&1 </dev/null &
    echo $! >"$pid"
    ;;
  stop)
    kill "$(cat "$pid")"
    rm -f "$pid"
    ;;
esac
"""

MONIT = """check process diary
  with pidfile /var/vcap/sys/run/diary/diary.pid
  start program "/var/vcap/jobs/diary/bin/ctl start"
  stop program "/var/vcap/jobs/diary/bin/ctl stop"
  group vcap
"""

DYNAMIC_DRAIN = """script=drain
note "$@"
# The first answer asks to be called again after so many seconds.
case $1 in
  job_check_status) echo 0 ;;
  *) echo "-<%= p('patience_s') %>" ;;
esac
"""

CHECK = """#!/bin/sh
echo "checked <%= spec.name %>/<%= spec.id %>, word <%= p('word') %>"
echo "a complaint" >&2
echo "checked" >>/var/vcap/sys/log/check/check.log
exit <%= p('exit_code') %>
"""


def _script(name: str) -> str:
    wait = "sleep <%= p('pre_start_s') %>\n" if name == "pre-start" else ""
    answer = "echo 0\n" if name == "drain" else ""
    return f'{NOTE}script={name}\nnote "$@"\n{wait}{answer}'


def _job(name: str, templates: Mapping[str, str], properties: Mapping[str, Any]) -> dict[str, str]:
    spec = {
        "name": name,
        "templates": {f"{path.replace('/', '-')}.erb": path for path in templates},
        "packages": [],
        "properties": {key: {"default": value} for key, value in properties.items()},
    }
    files = {f"templates/{path.replace('/', '-')}.erb": text for path, text in templates.items()}
    return {
        f"jobs/{name}/{path}": text
        for path, text in {**files, "spec": yaml.safe_dump(spec, sort_keys=False)}.items()
    }


def write_release(directory: Path) -> Path:
    """Write the release into ``directory`` and return it.

    Job ``diary`` has a process and every script; ``patient`` drains dynamically; ``check`` is an
    errand.
    """
    scripts = {f"bin/{name}": _script(name) for name in SCRIPTS}
    files = {
        "config/final.yml": "name: diary\n",
        "jobs/diary/monit": MONIT,
        "jobs/patient/monit": "",
        "jobs/check/monit": "",
        **_job(
            "diary",
            {**scripts, "bin/ctl": NOTE + CTL},
            {"word": "dear", "pre_start_s": 0},
        ),
        **_job("patient", {"bin/drain": NOTE + DYNAMIC_DRAIN}, {"patience_s": 0, "mood": "calm"}),
        **_job("check", {"bin/run": CHECK}, {"word": "dear", "exit_code": 0}),
    }
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (directory / "packages").mkdir(exist_ok=True)
    (directory / "src").mkdir(exist_ok=True)
    return directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the diary."""

    at: float
    job: str
    script: str
    arguments: tuple[str, ...]
    told: Mapping[str, str]


def read_diary(text: str) -> list[Entry]:
    """Return the entries in ``text``; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        head, bracket, rest = line.partition(" [")
        if not bracket or len(head.split()) != 3:
            continue
        arguments, _, told = rest.partition("] ")
        at, job, script = head.split()
        pairs = dict(re.findall(r"(BOSH_\w+)=(.*?)(?= BOSH_|\s*$)", told))
        found.append(
            Entry(
                at=float(at),
                job=job,
                script=script,
                arguments=tuple(arguments.split()),
                told=pairs,
            )
        )
    return found


def diary_manifest(name: str, release: Path) -> dict[str, Any]:
    """Return a deployment of two instances that keep a diary, and a group for the errand."""
    place = {"vm_type": "small", "stemcell": "default", "networks": [{"name": "default"}]}
    jobs: list[dict[str, Any]] = [
        {"name": job, "release": "diary"} for job in ("diary", "patient", "check")
    ]
    jobs[1]["properties"] = {"patience_s": 1}
    return {
        "name": name,
        "releases": [{"name": "diary", "version": "create", "url": f"file://{release}"}],
        "stemcells": [{"alias": "default", "os": "debian-12", "version": "latest"}],
        "update": {
            "canaries": 1,
            "max_in_flight": 2,
            "canary_watch_time": "100-30000",
            "update_watch_time": "100-30000",
        },
        "variables": [{"name": "secret", "type": "password"}],
        "instance_groups": [
            {
                "name": "diary",
                "instances": 2,
                "azs": ["z1", "z2"],
                "persistent_disk": 32,
                "jobs": jobs,
                **place,
            },
            {
                "name": "checks",
                "lifecycle": "errand",
                "instances": 1,
                "azs": ["z1"],
                "jobs": [
                    {"name": "check", "release": "diary", "properties": {"word": "((secret))"}}
                ],
                **place,
            },
        ],
    }


def more_networks(cloud_config: str, prefix: str) -> str:
    """Return a cloud config with a dynamic network and manual ones in other ranges beside it."""
    config = yaml.safe_load(cloud_config)

    def subnet(number: int, azs: Sequence[str]) -> dict[str, Any]:
        net = f"{prefix}.{number}"
        static = [f"{net}.200-{net}.210"]
        return {
            "azs": list(azs),
            "range": f"{net}.0/24",
            "gateway": f"{net}.1",
            "static": static,
            "dns": [f"{net}.1"],
        }

    config["networks"] += [
        {"name": "split", "type": "manual", "subnets": [subnet(2, ["z1"]), subnet(3, ["z2"])]},
        {"name": "second", "type": "manual", "subnets": [subnet(4, ["z1", "z2"])]},
        {
            "name": "roaming",
            "type": "dynamic",
            "subnets": [{"azs": ["z1", "z2"], "cloud_properties": {"range": f"{prefix}.5.0/24"}}],
        },
    ]
    return yaml.safe_dump(config, sort_keys=False)


@dataclass(kw_only=True)
class Diary:
    """A deployment of the release, and the director it is deployed with."""

    director: Any
    directory: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    def run(self, *args: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on this deployment."""
        done: subprocess.CompletedProcess[str] = self.director.run(
            "-d", self.name, *args, **options
        )
        return done

    def rows(self, *args: str) -> list[dict[str, str]]:
        """Return the rows of the tables a command on this deployment prints."""
        rows: list[dict[str, str]] = self.director.rows("-d", self.name, *args)
        return rows

    def file(self) -> Path:
        """Write the manifest and return the file."""
        return write(self.manifest, self.directory)

    def deploy(self, *flags: str | Path, ok: bool = True) -> str:
        """Deploy the manifest; returns what was printed."""
        done = self.director.run("deploy", self.file(), *flags, ok=ok)
        return str(done.stdout + done.stderr)

    def instances(self, group: str = "diary") -> list[dict[str, str]]:
        """Return the rows of ``instances --details`` of a group, by index."""
        found = [r for r in self.rows("instances", "--details") if r["instance"].startswith(group)]
        return sorted(found, key=lambda row: int(row["index"]))

    def job(self, name: str) -> dict[str, Any]:
        """Return a job of the first group in the manifest, to be changed."""
        jobs: list[dict[str, Any]] = self.manifest["instance_groups"][0]["jobs"]
        return next(job for job in jobs if job["name"] == name)

    def shell(self, instance: str, command: str) -> str:
        """Return what a command on an instance (or all of a group) prints; it must succeed."""
        rows = self.rows("ssh", instance, "-r", "-c", command)
        return "\n".join(row["stdout"] for row in rows)

    def entries(self, instance: str, after: float = 0) -> list[Entry]:
        """Return an instance's diary from a time on."""
        found = read_diary(self.shell(instance, f"sudo cat {DIARY}"))
        return [entry for entry in found if entry.at > after]
