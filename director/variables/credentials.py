"""The director's variables: generated once, kept encrypted, given out by the manifest's names."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from director.model.errors import DirectorError, VariableError, raise_all
from director.model.manifest import Variable
from director.model.placeholders import fill, look_up, variable_name
from director.model.records import VariableRecord
from director.model.source import Source
from director.variables.generate import DIRECTOR, generate
from director.variables.order import in_order, requirements
from director.variables.seal import seal, unseal


class VariableRows(Protocol):
    """Where versions of variables are kept; the store's repository satisfies it."""

    def latest(self, name: str) -> VariableRecord | None: ...

    def add(self, record: VariableRecord) -> None: ...

    def list(self, deployment: str) -> list[VariableRecord]: ...


class DryRows:
    """Rows over others: reads them, and keeps what is added to itself. For a dry run."""

    def __init__(self, rows: VariableRows) -> None:
        self._rows = rows
        self._added: dict[str, VariableRecord] = {}

    def latest(self, name: str) -> VariableRecord | None:
        return self._added.get(name) or self._rows.latest(name)

    def add(self, record: VariableRecord) -> None:
        self._added[record.name] = record

    def list(self, deployment: str) -> list[VariableRecord]:
        found = {record.name: record for record in self._rows.list(deployment)}
        found.update((n, r) for n, r in self._added.items() if r.deployment == deployment)
        return [found[name] for name in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Known:
    """A value and the row it is kept in."""

    value: Any
    record: VariableRecord


class Credentials:
    """Values of variables. ``key`` (32 bytes) encrypts them; ``now`` is in epoch seconds.

    A name without a slash in front belongs to a deployment: ``/<director>/<deployment>/<name>``.
    """

    def __init__(
        self,
        store: VariableRows,
        key: bytes,
        director_name: str,
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._key = key
        self._director_name = director_name
        self._now = now
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"Credentials({self._director_name!r})"

    def ensure(
        self,
        deployment: str,
        variables: Sequence[Variable],
        needed: Collection[str],
        *,
        uses: Mapping[str, Source] | None = None,
        refresh: bool = True,
    ) -> Mapping[str, Any]:
        """Return the values of ``variables`` and of the references ``needed``, by manifest name.

        What is missing is generated and kept, in an order in which authorities come before what
        they sign; calling again returns the same values, unless a variable's ``update_mode`` says
        otherwise (which ``refresh=False`` overrules: what exists is kept). Raises VariableError for
        every name that is neither declared nor known, before anything is generated; ``uses`` says
        where names are used first.
        """
        ordered = in_order(variables)
        declared = {variable.name for variable in ordered}
        wanted = {variable_name(reference) for reference in needed}
        wanted.update(name for variable in ordered for name in requirements(variable))
        known = {
            name: found
            for name in sorted(wanted - declared)
            if (found := self._stored(deployment, name)) is not None
        }
        raise_all(_undefined(wanted - declared - known.keys(), uses or {}))
        errors: list[DirectorError] = []
        for variable in ordered:
            if not all(name in known for name in requirements(variable)):
                continue  # What it is made from failed, and has its own error.
            try:
                known[variable.name] = self._one(deployment, variable, known, refresh=refresh)
            except DirectorError as error:
                errors.append(error)
        raise_all(errors)
        return {name: found.value for name, found in known.items()}

    def names(self, deployment: str) -> list[tuple[str, str]]:
        """Return (id, absolute name) of the newest version of each variable of a deployment."""
        return [(record.id, record.name) for record in self._store.list(deployment)]

    def _one(
        self, deployment: str, variable: Variable, known: Mapping[str, _Known], *, refresh: bool
    ) -> _Known:
        found = self._stored(deployment, variable.name)
        values = {name: one.value for name, one in known.items()}
        if found is not None and (not refresh or variable.update_mode == "no-overwrite"):
            return found
        signer = variable.options.get("ca")
        filled = replace(variable, options=fill(variable.options, look_up(values)))
        ca = values.get(filled.options.get("ca", signer))
        made_from = self._digest(filled, ca)
        if (
            found is not None
            and variable.update_mode == "converge"
            and found.record.options == made_from
        ):
            return found
        value = generate(filled, defaults=DIRECTOR, now=self._now(), ca=ca)
        return self._keep(deployment, filled, value, made_from)

    def _keep(self, deployment: str, variable: Variable, value: Any, made_from: str) -> _Known:
        name, id = self._absolute(deployment, variable.name), self._new_id()
        record = VariableRecord(
            id=id,
            name=name,
            deployment=deployment,
            type=variable.type,
            sealed=seal(value, key=self._key, name=name, id=id),
            options=made_from,
            created_at=self._now(),
        )
        self._store.add(record)
        return _Known(value, record)

    def _stored(self, deployment: str, name: str) -> _Known | None:
        record = self._store.latest(self._absolute(deployment, name))
        if record is None:
            return None
        value = unseal(record.sealed, key=self._key, name=record.name, id=record.id)
        return _Known(value, record)

    def _absolute(self, deployment: str, name: str) -> str:
        return name if name.startswith("/") else f"/{self._director_name}/{deployment}/{name}"

    def _digest(self, variable: Variable, ca: Any) -> str:
        """Return a keyed digest of everything ``variable`` is generated from."""
        signed_by = ca.get("certificate") if isinstance(ca, Mapping) else None
        text = json.dumps([variable.type, variable.options, signed_by], sort_keys=True, default=str)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _undefined(names: Collection[str], uses: Mapping[str, Source]) -> list[VariableError]:
    nowhere = Source("", 0, 0)
    return [
        VariableError(
            f"variable '{name}' has no value",
            where=uses.get(name),
            fix=f"give it with -v {name}=..., or list it under 'variables' to have it generated",
        )
        for name in sorted(names, key=lambda name: (uses.get(name, nowhere), name))
    ]
