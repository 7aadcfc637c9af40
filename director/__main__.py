"""``python -m director`` is the ``director`` command."""

from __future__ import annotations

from director.cli.main import main

main()
