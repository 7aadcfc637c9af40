"""What is shown of an address."""

from __future__ import annotations

from director.release.download import without_password


def test_a_password_in_an_address_is_not_shown() -> None:
    assert without_password("https://ann:secret@host:8/r.tgz") == "https://<redacted>@host:8/r.tgz"
    assert without_password("https://host/r.tgz?a=b@c") == "https://host/r.tgz?a=b@c"
