"""Releases of a few lines, written by tests that need one that does something odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MONIT = """check process {name}
  with pidfile /var/vcap/sys/run/{name}/{name}.pid
  start program "/var/vcap/jobs/{name}/bin/ctl start" with timeout 10 seconds
  stop program "/var/vcap/jobs/{name}/bin/ctl stop" with timeout 10 seconds
  group vcap
"""

CTL = """#!/bin/sh
pid=/var/vcap/sys/run/{name}/{name}.pid
case $1 in
  start) setsid sleep 1000000 </dev/null >/dev/null 2>&1 & echo $! >$pid ;;
  stop) kill "$(cat $pid)"; rm -f $pid ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job whose one process sleeps. ``templates`` are texts by where they go, in ERB, or in
    Jinja2 where ``jinja`` says so; those given replace its own (``bin/ctl``)."""

    templates: Mapping[str, str] = field(default_factory=dict)
    jinja: Sequence[str] = ()
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    packages: Sequence[str] = ()
    provides: Sequence[Mapping[str, Any]] = ()
    consumes: Sequence[Mapping[str, Any]] = ()
    monit: str | None = None


def write_tiny_release(
    directory: Path, jobs: Mapping[str, Job], packages: Mapping[str, str] | None = None
) -> Path:
    """Write a release into ``directory``, which gives it its name, and return the directory.

    ``packages`` are packaging scripts by name.
    """
    files = {"config/final.yml": f"name: {directory.name}\n"}
    for name, job in jobs.items():
        templates = {"bin/ctl": CTL.format(name=name), **job.templates}
        sources = {
            path: path.replace("/", "-") + (".j2" if path in job.jinja else ".erb")
            for path in templates
        }
        spec = {
            "name": name,
            "templates": {source: path for path, source in sources.items()},
            "packages": list(job.packages),
            "properties": dict(job.properties),
            "provides": list(job.provides),
            "consumes": list(job.consumes),
        }
        files[f"jobs/{name}/spec"] = yaml.safe_dump(spec)
        files[f"jobs/{name}/monit"] = MONIT.format(name=name) if job.monit is None else job.monit
        for path, text in templates.items():
            files[f"jobs/{name}/templates/{sources[path]}"] = text
    for name, packaging in (packages or {}).items():
        files[f"packages/{name}/spec"] = yaml.safe_dump({"name": name, "files": ["nothing"]})
        files[f"packages/{name}/packaging"] = packaging
        files["src/nothing"] = ""
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return directory
