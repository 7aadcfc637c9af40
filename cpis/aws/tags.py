"""Tags within AWS's limits, and the two that make repeated calls find what the first one made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cpis.contract import CloudError

AGENT = "director:agent_id"
TOKEN = "director:token"  # noqa: S105 -- a tag's name
MOST = 50
_OURS = (AGENT, TOKEN)
_KEY, _VALUE = 128, 256


def tags_of(metadata: Mapping[str, str]) -> list[dict[str, str]]:
    """Return metadata as tags: ``name`` as AWS's own ``Name``, long values shortened.

    What AWS keeps for itself (``aws:...``) and this CPI's own tags are left out. Raises CloudError
    for more tags than a thing may have.
    """
    tags: dict[str, str] = {}
    for key, value in metadata.items():
        name = "Name" if key == "name" else str(key)[:_KEY]
        if name and name not in _OURS and not name.lower().startswith("aws:"):
            tags[name] = str(value)[:_VALUE]
    # Two stay free, for the CPI's own.
    if len(tags) > MOST - len(_OURS):
        raise CloudError(
            f"there are {len(tags)} tags, and AWS takes {MOST - len(_OURS)}",
            fix="take some out of the manifest's and the runtime config's 'tags'",
        )
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tagged(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the tags a new thing of a kind is made with, as a request has them."""
    return {
        "ResourceType": kind,
        "Tag": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def client_token(*parts: str) -> str:
    """Return the client token of an intent: 64 characters, the most AWS takes."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
