"""Fingerprints: what counts, and what does not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from director.release.fingerprint import SourceFile, fingerprint


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def files(root: Path) -> list[SourceFile]:
    (root / "b").write_text("two")
    (root / "a").write_text("one")
    (root / "a").chmod(0o755)
    return [SourceFile(path=root / "b", name="b"), SourceFile(path=root / "a", name="a")]


def test_the_formula(tmp_path: Path) -> None:
    expected = "v2" + "a" + sha1("one") + "100755" + "b" + sha1("two") + "100644" + "x,y"
    assert fingerprint(files(tmp_path), ["y", "x"]) == sha1(expected)


def test_sha2_uses_sha256_throughout(tmp_path: Path) -> None:
    def sha256(text: str) -> str:
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    expected = f"v2a{sha256('one')}100755b{sha256('two')}100644"
    assert f"sha256:{fingerprint(files(tmp_path), sha2=True)}" == sha256(expected)


def test_links_hooks_and_times(tmp_path: Path) -> None:
    plain = files(tmp_path)
    before = fingerprint(plain)
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "a").chmod(0o711)
    assert fingerprint(plain) == before

    link = tmp_path / "l"
    link.symlink_to("a")
    as_link = fingerprint([SourceFile(path=link, name="l")])
    assert as_link == sha1("v2" + "l" + sha1("a") + "symlink")
    followed = fingerprint([SourceFile(path=link, name="l", follow=True)])
    assert followed == sha1("v2" + "l" + sha1("one") + "100755")
    hook = fingerprint([SourceFile(path=tmp_path / "a", name="a", exclude_mode=True)])
    assert hook == sha1("v2" + "a" + sha1("one"))
