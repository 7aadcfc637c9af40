"""Download a file over http or https, verified and bounded."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from director.model.digests import verify
from director.model.errors import DirectorError

MAX_BYTES = 16 << 30


def download(
    url: str,
    target: Path,
    *,
    invalid: type[DirectorError],
    digest: str = "",
    max_bytes: int = MAX_BYTES,
) -> None:
    """Fetch ``url`` to ``target``, which appears whole and verified or not at all.

    Raises ``invalid`` for another kind of URL, an answer that is no success and more than
    ``max_bytes``; DigestMismatch if there is a ``digest`` and the content has another.
    """
    import httpx

    shown = without_password(url)
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid(f"'{shown}' is not an http or https URL", fix="give one, or a local file")
    partial = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer,
            partial.open("wb") as stream,
        ):
            if answer.status_code != 200:
                raise invalid(
                    f"'{shown}' answered {answer.status_code} {answer.reason_phrase}",
                    fix="correct the URL, or fetch the file yourself and name it instead",
                )
            size = 0
            for chunk in answer.iter_bytes(1 << 20):
                size += len(chunk)
                if size > max_bytes:
                    raise invalid(f"'{shown}' is longer than {max_bytes} bytes")
                stream.write(chunk)
        if digest:
            with partial.open("rb") as stream_back:
                verify(stream_back, digest, what=f"'{shown}'")
        os.replace(partial, target)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise invalid(
            f"'{shown}' cannot be fetched: {error}",
            fix="check the URL and this host's network, or name a local file instead",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def without_password(url: str) -> str:
    """Return ``url`` without the user and password it may carry, to be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="<redacted>@" + parts.netloc.rpartition("@")[2]))
