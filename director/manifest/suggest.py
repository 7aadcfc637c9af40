"""Advice for a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

_SHOWN = 10
_COMPARED = 200


def quoted(names: Iterable[str]) -> str:
    """Return names as a person lists them: ``'a', 'b' and 3 more``."""
    known = [str(name) for name in names]
    shown = ", ".join(f"'{name}'" for name in known[:_SHOWN])
    return f"{shown} and {len(known) - _SHOWN} more" if len(known) > _SHOWN else shown


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return an order for whoever wrote ``name``, which is none of ``known``.

    ``otherwise`` is an order for whoever means something new.
    """
    names = tuple(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean '{near}'?" + (f" Otherwise {otherwise}" if otherwise else "")
    if not names:
        return otherwise or "there is none to use"
    use = f"use '{names[0]}'" if len(names) == 1 else f"use one of {quoted(names)}"
    return f"{use}, or {otherwise}" if otherwise else use


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name ``name`` is probably meant to be, or None."""
    return _nearest(name, tuple(islice(known, _COMPARED)))


@lru_cache(maxsize=1024)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches

    by_folded = {other.lower().replace("-", "_"): other for other in known}
    near = get_close_matches(name.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None
