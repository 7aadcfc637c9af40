"""Blobs as files in a directory, each named by the sha256 of its content."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from director.model.errors import BlobNotFound
from director.model.ids import BlobId

_CHUNK = 1 << 20
_ID = re.compile(r"[0-9a-f]{64}")


class DirectoryBlobs:
    """A store of files below ``root``, which is made at first use; safe for many processes."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root)

    def put(self, stream: BinaryIO) -> BlobId:
        """Keep the rest of ``stream`` and return its id.

        Content that is there already is written anew, which mends a damaged file. A reader sees the
        whole file or none.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        handle, temporary = tempfile.mkstemp(dir=self._root, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as target:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                # A row in the database will name this file: it must not be empty after a power cut.
                os.fsync(target.fileno())
            id = BlobId(digest.hexdigest())
            place = self._place(id)
            place.parent.mkdir(exist_ok=True, mode=0o700)
            os.replace(temporary, place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return id

    def put_file(self, path: Path | str) -> BlobId:
        """Keep a copy of the file at ``path`` and return its id."""
        with open(path, "rb") as stream:
            return self.put(stream)

    def open(self, id: BlobId) -> BinaryIO:
        """Open a blob for reading; the caller closes it. Raises BlobNotFound."""
        try:
            return open(self._place(id), "rb")
        except FileNotFoundError as error:
            raise _missing(id) from error

    def path(self, id: BlobId) -> str:
        """Return where a blob's file is; it must only be read. Raises BlobNotFound."""
        place = self._place(id)
        if not place.is_file():
            raise _missing(id)
        return str(place)

    def exists(self, id: BlobId) -> bool:
        """Tell whether the blob is there (its content is not checked)."""
        return _ID.fullmatch(id) is not None and self._place(id).is_file()

    def delete(self, id: BlobId) -> None:
        """Delete a blob; one that is not there is no error."""
        self._place(id).unlink(missing_ok=True)

    def list(self) -> Iterator[BlobId]:
        """Yield the ids of all blobs, in no order."""
        for place in self._root.glob("??/*"):
            if _ID.fullmatch(place.name):
                yield BlobId(place.name)

    def _place(self, id: BlobId) -> Path:
        if not _ID.fullmatch(id):  # an id may come from a request: it must not become a path
            raise _missing(id)
        return self._root / id[:2] / id


def _missing(id: BlobId) -> BlobNotFound:
    return BlobNotFound(
        f"blob '{id[:80]}' is not in the store",
        fix="upload the release again with --fix, if a release needs it",
    )
