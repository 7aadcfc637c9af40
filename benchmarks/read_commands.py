"""How long commands that only read take, as their user waits: Python, director and all.

Run as root: ``.venv/bin/python benchmarks/read_commands.py [--instances 3] [--runs 15]``. The
director is embedded: each command starts it, asks it, and ends it. ``instances`` asks every
machine over SSH.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from own_director import REPOSITORY, own_director, table, twenty

COMMANDS: dict[str, tuple[str, float]] = {
    "--help": ("--help", 0.2),
    "deployments": ("deployments", 0.7),
    "tasks": ("tasks --recent", 0.7),
    "instances": ("instances", 0.7),
    "instances --ps": ("instances --ps", 0.7),
    "vms": ("vms", 0.7),
}
"""A command line for each row, and its limit in seconds."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--subnet", default="10.233.3")
    asked = parser.parse_args()
    rows, late = [], []
    with own_director(asked.subnet) as director:
        director.run("deploy", twenty(director, "greeter", asked.instances))
        for name, (line, limit) in COMMANDS.items():
            times = []
            for _ in range(asked.runs + 1):
                started = time.perf_counter()
                subprocess.run(
                    [*director.command, "-n", *line.split()],
                    cwd=REPOSITORY,
                    env=director.environment,
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
                times.append(time.perf_counter() - started)
            # The first fills the caches of the host.
            times = sorted(times[1:])
            middle = statistics.median(times)
            rows.append((name, *(f"{t:.2f}" for t in (times[0], middle, times[-1], limit))))
            if middle > limit:
                late.append(name)
    print(f"{asked.instances} instances, {asked.runs} runs each, seconds")
    print(table(("director ...", "min", "median", "max", "limit"), rows))
    print(f"over the limit: {', '.join(late) or 'nothing'}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
