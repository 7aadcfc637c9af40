"""Opening the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from director.model.errors import SettingsError
from director.store.database import open_database


def test_a_damaged_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "director.db"
    path.write_bytes(b"this is no database" * 300)
    with pytest.raises(SettingsError, match="is not a database"):
        open_database(f"sqlite:///{path}")
