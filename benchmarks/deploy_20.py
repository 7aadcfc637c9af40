"""How long twenty real machines take: first deploy, deploy again, recreate, delete.

Run as root: ``.venv/bin/python benchmarks/deploy_20.py [--release redis] [--rounds 3]``. Packages
are compiled before, by a deployment of one instance. ``task`` is the time in the director, from
the start of the task to its end; ``wall`` is the whole command, start of Python included.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from own_director import Run, measure, own_director, table, twenty

LOOKING = ("looking at the machine",)
"""What commands over SSH that change nothing are logged as."""

LIMITS = {"first deploy": 10.0, "deploy again": 0.4, "recreate": 10.0, "delete": 2.0}
LIMIT_MB = 150


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--release", default="greeter", choices=["greeter", "redis"])
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", type=int, default=3, help="deploys of the unchanged, a round")
    parser.add_argument("--subnet", default="10.236.2")
    asked = parser.parse_args()
    runs: dict[str, list[Run]] = {name: [] for name in LIMITS}
    with own_director(asked.subnet) as director:
        one = twenty(director, asked.release, 1)
        director.run("deploy", one)
        director.run("delete-deployment", "-d", f"many-{asked.release}")
        manifest = twenty(director, asked.release, asked.instances)
        name = f"many-{asked.release}"
        for _ in range(asked.rounds):
            runs["first deploy"].append(measure(director, "deploy", manifest))
            for _ in range(asked.again):
                runs["deploy again"].append(measure(director, "deploy", manifest))
            recreate = ("recreate", "--max-in-flight", "20", "-d", name)
            runs["recreate"].append(measure(director, *recreate))
            runs["delete"].append(measure(director, "delete-deployment", "-d", name))
    print(f"{asked.instances} instances of {asked.release}, best and worst of the rounds")
    titles = ("", "task s", "wall s", "cpu s", "peak MB", "threads", "ssh commands")
    print(table(titles, [_row(name, found) for name, found in runs.items()]))
    again = Counter(c for run in runs["deploy again"] for c in run.ssh_commands)
    changing = {c: n for c, n in again.items() if not c.startswith(LOOKING)}
    print(
        f"SSH commands of 'deploy again': {dict(again) or 'none'}; changing: {changing or 'none'}"
    )
    late = [name for name, found in runs.items() if max(r.task_s for r in found) > LIMITS[name]]
    heavy = max(run.peak_mb for found in runs.values() for run in found) > LIMIT_MB
    print(f"over the limits: {', '.join(late + ['memory'] * heavy) or 'nothing'}")
    return 1 if late or heavy or changing else 0


def _row(name: str, runs: list[Run]) -> tuple[str, ...]:
    def span(values: list[float], digits: int) -> str:
        return f"{min(values):.{digits}f} - {max(values):.{digits}f}"

    return (
        name,
        span([run.task_s for run in runs], 2),
        span([run.wall_s for run in runs], 2),
        span([run.cpu_s for run in runs], 2),
        span([run.peak_mb for run in runs], 0),
        str(max(run.threads for run in runs)),
        str(max(len(run.ssh_commands) for run in runs)),
    )


if __name__ == "__main__":
    sys.exit(main())
