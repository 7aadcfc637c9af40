"""Run a program of the author's host; what it printed last is told when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def failure_of(
    command: Sequence[str], *, env: Mapping[str, str], lines: int, cwd: Path | None = None
) -> tuple[int, str] | None:
    """Run ``command`` without input; None if it succeeded, else its exit code and the last
    ``lines`` of all it printed, indented."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return None
    return done.returncode, "\n".join(f"    {line}" for line in done.stdout.splitlines()[-lines:])
