"""The next version of a release that is being developed."""

from __future__ import annotations

import re
from collections.abc import Iterable


def next_dev(existing: Iterable[str], *, base: str) -> str:
    """Return the dev version after all ``existing`` ones of the release version ``base``.

    ``base`` may be a dev version itself (``1+dev.7`` counts as ``1``). The first is
    ``<base>+dev.1``.
    """
    base = base.partition("+")[0]
    pattern = re.compile(rf"{re.escape(base)}\+dev\.([0-9]{{1,9}})")
    numbers = [int(match[1]) for version in existing if (match := pattern.fullmatch(version))]
    return f"{base}+dev.{max(numbers, default=0) + 1}"
