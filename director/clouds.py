"""The CPIs of this director: the default one of ``director.yml`` and those of the CPI config."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from director.home import Home
from director.model.configs import CpiConfig, CpiEntry
from director.model.errors import CpiError
from director.model.placeholders import find_placeholders, look_up, variable_name
from director.settings import Settings
from director.store.store import Store

if TYPE_CHECKING:
    from cpis.contract import Cpi
    from director.variables.credentials import Credentials


class Clouds:
    """Gives CPIs by name, each made at first use and then shared by all threads.

    One is made anew when its entry of the CPI config changes, or a variable in its properties.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        director_uuid: str,
        store: Store,
        credentials: Callable[[], Credentials],
    ) -> None:
        self._home = home
        self._director_uuid = director_uuid
        self._store = store
        self._credentials = credentials
        self._default = CpiEntry(
            name="",
            type=settings.cpi,
            exec_path=settings.cpi_exec_path,
            properties=settings.cpi_properties,
        )
        self._turn = threading.Lock()
        self._made: dict[str, _Made] = {}
        self._read: tuple[tuple[int, ...], CpiConfig] | None = None

    def config(self) -> CpiConfig:
        """Return the latest CPI config; raises CpiConfigError where its parts do not fit."""
        ids = self._store.configs.latest_ids("cpi")
        if self._read is None or self._read[0] != ids:
            self._read = (ids, self._read_config() if ids else CpiConfig())
        return self._read[1]

    def cpi(self, name: str) -> Cpi:
        """Return the CPI that goes, or once went, by this name; the empty one is the default's.

        Raises CpiError for a name there is not, VariableError for a variable without a value.
        """
        config = self.config()
        entry = self._entry(config, name)
        if entry is None:
            known = ", ".join(f"'{name}'" for name in config.entries) or "none"
            raise CpiError(
                f"there is no CPI '{name}'",
                fix=f"the CPI config has {known}; add it there, or to the 'migrated_from' of the "
                "CPI that took its place: director update-cpi-config",
            )
        key = (entry, self._versions(entry))
        with self._turn:
            made = self._made.get(entry.name)
            if made is None or made.key != key:
                made = _Made(key, lambda: self._make(entry, config))
                self._made[entry.name] = made
        return made.get()

    def is_memory(self, name: str) -> bool:
        """Whether the VMs of this CPI are in this process's memory only.

        Waiting for a VM asks this many times a second, so that the CPI config is taken as it was
        last read; it is read anew only for a name that was not in it.
        """
        known = self._read[1] if self._read else self.config()
        entry = self._entry(known, name) or self._entry(self.config(), name)
        return entry is not None and entry.type == "memory" and entry.exec_path is None

    def _entry(self, config: CpiConfig, name: str) -> CpiEntry | None:
        current = config.current(name)
        return config.entries.get(current) if current else self._default

    def _read_config(self) -> CpiConfig:
        from director.manifest.read_cpi_config import read_cpi_config
        from director.manifest.several_texts import label

        found = self._store.configs.list(type="cpi")
        return read_cpi_config([(label("cpi", each.name), each.content) for each in found])

    def _versions(self, entry: CpiEntry) -> tuple[str, ...]:
        """Return what changes when a variable in the properties gets another value."""
        names = sorted({variable_name(ref) for ref in find_placeholders(entry.properties)})
        found = [self._store.variables.latest(name) for name in names]
        return tuple(record.id if record is not None else "" for record in found)

    def _make(self, entry: CpiEntry, config: CpiConfig) -> Cpi:
        from cpis.contract import CloudError
        from cpis.registry import load_cpi
        from cpis.rpc.redaction import secrets_in
        from director.execute.hidden import fill_in
        from director.tasks.cpi_log import logged

        needed = find_placeholders(entry.properties)
        values = self._credentials().ensure("", (), needed, uses=config.uses) if needed else {}
        properties, secrets = fill_in(dict(entry.properties), look_up(values))
        kind = entry.type if entry.exec_path is None else "external"
        try:
            cpi = load_cpi(kind, self._complete(entry, kind, properties))
        except CloudError as error:
            if not entry.name:
                raise
            raise CloudError(
                f"CPI '{entry.name}' cannot be used: {error.what}", fix=error.fix
            ) from error
        return logged(cpi, entry.name or entry.type, secrets | secrets_in(properties))

    def _complete(
        self, entry: CpiEntry, kind: str, properties: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return a CPI's properties with what the director alone knows."""
        if entry.exec_path is not None:
            return {
                "exec_path": entry.exec_path,
                "type": entry.type,
                "director_uuid": self._director_uuid,
                "properties": properties,
            }
        first = entry.first_name
        if kind == "external":
            return {"director_uuid": self._director_uuid, **properties}
        if kind == "memory":
            return {"prefix": f"{first}-" if first else "", **properties}
        if kind == "local":
            id = f"{self._director_uuid}-{first}" if first else self._director_uuid
            root = properties.get("root") or str(_own_place(self._home, first))
            return {"director_id": id, **properties, "root": root}
        return properties


class _Made:
    """One CPI, made by whichever thread comes first; the others wait for it, and only for it."""

    def __init__(self, key: object, make: Callable[[], Cpi]) -> None:
        self.key = key
        self._make = make
        self._cpi: Cpi | None = None
        self._turn = threading.Lock()

    def get(self) -> Cpi:
        if self._cpi is None:
            with self._turn:
                if self._cpi is None:
                    self._cpi = self._make()
        return self._cpi


def _own_place(home: Home, name: str) -> Path:
    """Return a directory for what a CPI that works on this host keeps."""
    place = home.root / "cpis" / name if name else home.root / "local"
    for directory in (place.parent, place):
        directory.mkdir(mode=0o700, exist_ok=True)
    return place
