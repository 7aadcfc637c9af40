"""The settings file, ``director.yml`` in the home directory. Without one, the defaults hold."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from director.model.errors import SettingsError
from director.model.instances import Reach

FILE = "director.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a director is set up.

    ``cpi`` is the name of its cloud provider interface and ``cpi_properties`` what that is made
    from; ``cpi_exec_path`` is the BOSH CPI executable to use in its place. ``workers`` tasks run at
    once, each with at most ``max_threads`` threads. A VM may take ``boot_timeout_s`` to answer, at
    the address ``reach`` says. ``resize_disks`` and ``update_disks`` let the cloud make a disk
    larger, or otherwise, in place.
    """

    name: str = "director"
    cpi: str = "local"
    cpi_exec_path: str | None = None
    cpi_properties: Mapping[str, Any] = field(default_factory=dict, repr=False)
    workers: int = 4
    max_threads: int = 32
    boot_timeout_s: float = 600.0
    reach: Reach = Reach.PRIVATE
    resize_disks: bool = False
    update_disks: bool = False


def read_settings(home: Path) -> Settings:
    """Return the settings of the director in ``home``; raises SettingsError naming the key."""
    path = home / FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"'{path}' cannot be read: {error}") from error
    from director.manifest.located_yaml import load_located, require_mapping

    located = load_located(text, str(path))
    if located.data is None:
        return Settings()
    data = require_mapping(located, "settings file")
    values: dict[str, Any] = {}
    for key, value in data.items():
        try:
            values.update(_read(key, value))
        except ValueError as error:
            raise SettingsError(
                str(error), where=located.where((key,)), fix=f"known keys: {', '.join(_KEYS)}"
            ) from error
    return Settings(**values)


def _read(key: str, value: Any) -> Mapping[str, Any]:
    reader = _KEYS.get(key)
    if reader is None:
        close = difflib.get_close_matches(key, _KEYS, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"there is no setting '{key}'{hint}")
    return reader(key, value)


def _text(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str) or not value or "/" in value:
        raise ValueError(f"'{key}' must be text without slashes")
    return {key: value}


def _count(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ValueError(f"'{key}' must be a number from 1 to 1000")
    return {key: value}


def _seconds(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86400:
        raise ValueError(f"'{key}' must be a number of seconds")
    return {f"{key}_s": float(value)}


def _reach(key: str, value: Any) -> Mapping[str, Any]:
    if value not in list(Reach):
        raise ValueError(f"'{key}' must be {' or '.join(Reach)}")
    return {key: Reach(value)}


def _in_place(name: str, key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, bool):
        raise ValueError(f"'{key}' must be true or false")
    return {name: value}


def _cpi(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError(f"'{key}' must be a mapping with 'name' and 'properties'")
    properties, executable = value.get("properties", {}), value.get("exec_path")
    if set(value) - {"name", "exec_path", "properties"} or not isinstance(properties, dict):
        raise ValueError(
            f"'{key}' must have only 'name', a mapping 'properties' and perhaps 'exec_path'"
        )
    if executable is not None and not (isinstance(executable, str) and executable.startswith("/")):
        raise ValueError(f"'exec_path' of '{key}' must be an absolute path")
    return {"cpi": value["name"], "cpi_exec_path": executable, "cpi_properties": properties}


_KEYS: Mapping[str, Callable[[str, Any], Mapping[str, Any]]] = {
    "name": _text,
    "cpi": _cpi,
    "workers": _count,
    "max_threads": _count,
    "boot_timeout": _seconds,
    "reach": _reach,
    "enable_cpi_resize_disk": partial(_in_place, "resize_disks"),
    "enable_cpi_update_disk": partial(_in_place, "update_disks"),
}
