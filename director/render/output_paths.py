"""Where a job's rendered files may go: below the job's own directory, one file to a path."""

from __future__ import annotations

from collections.abc import Iterator

from director.model.errors import TemplateError
from director.model.rendering import RenderRequest
from director.model.source import Source

LINKS_FILE = ".bosh/links.json"
"""The file the director adds to every job."""

_TAKEN = ("monit", LINKS_FILE)


def check_output_paths(request: RenderRequest) -> Iterator[TemplateError]:
    """Yield an error for each template whose path is not a plain relative one, or is taken."""
    seen: set[str] = set()
    for template, path in request.templates.items():
        problem = _problem(path, seen)
        seen.add(path)
        if problem:
            yield TemplateError(
                f"template '{template}' of job '{request.job}' is to become '{path}', {problem}",
                where=Source(f"{request.release}/{request.job}/spec", 1, 1),
                fix="give it a relative path of its own under 'templates' in the job's spec",
            )


def _problem(path: str, seen: set[str]) -> str:
    parts = path.split("/")
    if path.startswith("/"):
        return "which is not relative to the job's directory"
    if any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts):
        return "which is not a plain path"
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "which has control characters in it"
    others = (*seen, *_TAKEN)
    if path in others:
        return "which another file has already"
    if any(o.startswith(f"{path}/") or path.startswith(f"{o}/") for o in others):
        return "which is a directory or lies below a file"
    return ""
