"""What git says of a release directory."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """``commit`` is the short hash, ``empty`` before the first commit, ``non-git`` outside of git.

    ``changed`` are the files below the directory that differ from the commit.
    """

    commit: str
    changed: tuple[str, ...] = ()


def git_state(directory: Path) -> GitState:
    """Ask git about ``directory``; it may be a part of a larger repository, or of none."""
    if _git(directory, "rev-parse", "--is-inside-work-tree") is None:
        return GitState(commit="non-git")
    commit = _git(directory, "rev-parse", "--short=7", "HEAD")
    changed = _git(directory, "status", "--porcelain", "--", ".") or ""
    return GitState(
        commit=commit.strip() if commit else "empty",
        changed=tuple(line[3:] for line in changed.splitlines()),
    )


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
