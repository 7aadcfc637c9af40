"""Tests here write and change a little release directory."""

from little_release import write_release

__all__ = ["write_release"]
