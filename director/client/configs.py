"""Configs: read, compare, update."""

from __future__ import annotations

from director.client.deployments import DiffLines, diff_lines
from director.client.http import Http, Refusal, decode


def latest_config(http: Http, kind: str, name: str) -> str | None:
    """Return the text of the current config, or None where there is none."""
    params = {"latest": "true", "limit": "1", "type": kind, "name": name}
    rows = http.get_json("/configs", params)
    return str(rows[0]["content"]) if rows else None


def diff_config(http: Http, kind: str, name: str, text: str) -> tuple[DiffLines, str | None]:
    """Compare ``text`` with the current config: the lines, and the id of what it was compared with.

    Update with that id, so that nobody's change in between is overwritten.
    """
    body = {"type": kind, "name": name, "content": text}
    try:
        answer = decode(http.send_json("POST", "/configs/diff", body))
    except Refusal as refused:
        if refused.http_status == 404 and refused.remote_code is None:
            return (), None
        raise
    seen = answer.get("from") or {}
    return diff_lines(answer), str(seen["id"]) if "id" in seen else None


def update_config(http: Http, kind: str, name: str, text: str, *, expected: str | None) -> None:
    """Make ``text`` the current config; refused where the current one is not ``expected``."""
    body = {"type": kind, "name": name, "content": text}
    if expected is not None:
        body["expected_latest_id"] = expected
    http.send_json("POST", "/configs", body)
