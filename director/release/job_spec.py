"""Read a job's spec (``spec`` in a release directory, ``job.MF`` in a job tarball)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from director.model.errors import DirectorError, ReleaseInvalid, raise_all
from director.model.release import Job, LinkSpec, PropertySpec
from director.release.document import name_in, names_in, read_mapping


def read_job_spec(
    text: str, *, file: str, files: Collection[str], fingerprint: str = "", digest: str = ""
) -> Job:
    """Return the job a spec describes; ``files`` are the names in the job's archive.

    Raises, all at once, ReleaseInvalid for a template or monit file that is not there, a path that
    leads out of the job, an exported link property no property declares, and malformed parts.
    """
    data = read_mapping(text, file)
    name = name_in(data.get("name"), f"{file}: job name")
    errors: list[DirectorError] = []
    templates = _templates(data.get("templates"), name, files, errors)
    properties = _properties(data.get("properties"), name, errors)
    declared = {spec.name for spec in properties}
    provides = _links(data.get("provides"), name, "provides", errors)
    consumes = _links(data.get("consumes"), name, "consumes", errors)
    errors += [
        ReleaseInvalid(
            f"job '{name}' exports property '{exported}' in link '{link.name}' and does not"
            " declare it",
            fix=f"add '{exported}' to the properties of the job's spec",
        )
        for link in provides
        for exported in link.properties
        if exported not in declared
    ]
    if "monit" not in files:
        errors.append(
            ReleaseInvalid(
                f"job '{name}' has no 'monit' file",
                fix="add one; it is empty for a job without processes",
            )
        )
    raise_all(errors)
    return Job(
        name=name,
        fingerprint=fingerprint,
        templates=templates,
        properties=properties,
        provides=provides,
        consumes=consumes,
        packages=names_in(data.get("packages"), f"packages of job '{name}'"),
        digest=digest,
    )


def _templates(
    value: Any, job: str, files: Collection[str], errors: list[DirectorError]
) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        errors.append(
            ReleaseInvalid(
                f"templates of job '{job}' must map files to paths",
                fix="write 'ctl.erb: bin/ctl' lines",
            )
        )
        return {}
    found: dict[str, str] = {}
    for source, target in value.items():
        if not (_stays_inside(source) and _stays_inside(target)):
            errors.append(
                ReleaseInvalid(
                    f"job '{job}' has a template '{source}' for '{target}', which leads out of it",
                    fix="use relative paths without '..'",
                )
            )
        elif f"templates/{source}" not in files:
            errors.append(
                ReleaseInvalid(
                    f"job '{job}' names the template '{source}', which does not exist",
                    fix=f"add templates/{source} or remove it from the spec",
                )
            )
        else:
            found[source] = target
    targets = list(found.values())
    for target in sorted({t for t in targets if targets.count(t) > 1}):
        errors.append(ReleaseInvalid(f"job '{job}' has two templates for '{target}'"))
    return found


def _stays_inside(path: Any) -> bool:
    return (
        isinstance(path, str)
        and bool(path)
        and not path.startswith("/")
        and not any(part in ("", ".", "..") for part in path.split("/"))
        and not any(ord(char) < 32 or char == "\\" for char in path)
    )


def _properties(value: Any, job: str, errors: list[DirectorError]) -> tuple[PropertySpec, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        errors.append(ReleaseInvalid(f"properties of job '{job}' must be a mapping"))
        return ()
    found = []
    for name, spec in value.items():
        if not isinstance(name, str) or not isinstance(spec, dict | None):
            errors.append(
                ReleaseInvalid(
                    f"property '{name}' of job '{job}' must be a mapping",
                    fix="give it a description and, perhaps, a default",
                )
            )
            continue
        spec = spec or {}
        found.append(
            PropertySpec(
                name=name,
                description=str(spec.get("description") or ""),
                default=spec.get("default"),
            )
        )
    return tuple(found)


def _links(value: Any, job: str, kind: str, errors: list[DirectorError]) -> tuple[LinkSpec, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        errors.append(ReleaseInvalid(f"'{kind}' of job '{job}' must be a list"))
        return ()
    found: dict[str, LinkSpec] = {}
    for link in value:
        name, type_ = (link.get("name"), link.get("type")) if isinstance(link, dict) else (0, 0)
        exported = (link.get("properties") or []) if isinstance(link, dict) else []
        if not (isinstance(name, str) and isinstance(type_, str) and isinstance(exported, list)):
            errors.append(
                ReleaseInvalid(
                    f"a link in '{kind}' of job '{job}' is malformed",
                    fix="give each link a name and a type",
                )
            )
        elif name in found:
            errors.append(ReleaseInvalid(f"job '{job}' has the link '{name}' twice in '{kind}'"))
        else:
            found[name] = LinkSpec(
                name=name,
                type=type_,
                optional=link.get("optional") is True,
                properties=tuple(str(item) for item in exported),
            )
    return tuple(found.values())
