"""What a Jinja2 template of a job sees: the same names as an ERB template, as functions.

Imported by the worker process only; it raises :class:`Missing` where ERB's ``p`` and ``link`` do.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Missing(Exception):
    """A property or link a template asks for and that is not there."""

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.kind = kind
        self.names = tuple(names)


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which ``spec.update`` is the key and not the method of a mapping."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def environment(sources: Mapping[str, str]) -> Environment:
    """Return an environment with the templates ``sources``, which may include one another.

    Filters beside Jinja2's own: ``to_json`` (plain, unlike ``tojson``) and ``shell_quote``.
    """

    def load(name: str) -> tuple[str, str, Any] | None:
        return (sources[name], name, None) if name in sources else None

    made = Environment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    made.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    made.filters["shell_quote"] = lambda value: shlex.quote(str(value))
    return made


class _Properties:
    """``p`` and ``if_p`` over nested properties."""

    def __init__(self, values: Mapping[str, Any], link: str | None = None) -> None:
        self._values = values
        self._link = link

    def p(self, names: str | Sequence[str], *default: Any) -> Any:
        """Return the first value there is, else the default; without one, raise Missing."""
        wanted = [names] if isinstance(names, str) else list(names)
        for name in wanted:
            value = self._look_up(name)
            if value is not None:
                return value
        if default:
            return default[0]
        if self._link is None:
            raise Missing("property", wanted)
        raise Missing("link_property", [*wanted, self._link])

    def if_p(self, *names: str) -> list[Any]:
        """Return the values of all ``names``, or nothing at all if one has none."""
        values = [self._look_up(name) for name in names]
        return [] if None in values else values

    def _look_up(self, name: str) -> Any:
        value: Any = self._values
        for key in str(name).split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value


class _LinkInstance(_Properties):
    """One instance of the group that provides a link."""

    def __init__(self, values: Mapping[str, Any], link: _Link) -> None:
        super().__init__(values.get("properties") or link.properties, link.name)
        self.name = values.get("name")
        self.index = values.get("index")
        self.id = values.get("id")
        self.az = values.get("az")
        self.address = values.get("address")
        self.bootstrap = values.get("bootstrap")


class _Link(_Properties):
    """A link as a template sees it."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self.properties = values.get("properties") or {}
        super().__init__(self.properties, name)
        self._literal = values.get("address")
        self.instances = [_LinkInstance(i, self) for i in values.get("instances") or ()]

    def address(self, azs: str | Sequence[str] | None = None, **_health: Any) -> Any:
        """Return a manual link's literal, else the address of the first instance in ``azs``."""
        if self._literal is not None:
            return self._literal
        wanted = [azs] if isinstance(azs, str) else azs
        found = [i for i in self.instances if wanted is None or i.az in wanted]
        found.sort(key=lambda instance: not instance.bootstrap)
        if not found:
            raise Missing("link_instance", [self.name])
        return found[0].address


def names_for(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the global names of a template for ``context`` (spec, properties and links)."""
    properties = context["properties"]
    links: Mapping[str, Any] = context["links"]
    reader = _Properties(properties)
    spec = {**context["spec"], "properties": properties}

    def link(name: str) -> _Link:
        if links.get(name) is None:
            raise Missing("link", [name])
        return _Link(name, links[name])

    def if_link(name: str) -> _Link | None:
        return None if links.get(name) is None else link(name)

    return {
        "p": reader.p,
        "if_p": reader.if_p,
        "link": link,
        "if_link": if_link,
        "spec": spec,
        "properties": properties,
        "name": spec.get("name"),
        "index": spec.get("index"),
    }
