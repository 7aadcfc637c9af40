"""Errors that say which instance they are about: several may fail at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from director.model.errors import DirectorError, ErrorList, TaskCancelled, raise_all


@contextmanager
def about(label: str) -> Iterator[None]:
    """Put the instance's ``label`` in front of whatever error is raised inside."""
    try:
        yield
    except TaskCancelled:
        raise
    except DirectorError as error:
        told = error.errors if isinstance(error, ErrorList) else [error]
        for one in told:
            one.what = f"'{label}': {one.what}"
        if isinstance(error, ErrorList):
            raise_all(told)
        raise
