"""Which variable is made before which: what its options use and who signs it come first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from director.model.errors import DirectorError, VariableError, raise_all
from director.model.manifest import Variable
from director.model.placeholders import find_placeholders, variable_name

_NAME = re.compile(r"/?(?:[\w-]+(?:\.[\w-]+)*/)*[\w-]+", re.ASCII)
_MODES = ("no-overwrite", "overwrite", "converge")


def requirements(variable: Variable) -> list[str]:
    """Return the names of the variables that ``variable`` is made from."""
    used = {variable_name(reference) for reference in find_placeholders(variable.options)}
    signer = variable.options.get("ca")
    if isinstance(signer, str) and "((" not in signer:
        used.add(signer)
    return sorted(used)


def in_order(variables: Sequence[Variable]) -> list[Variable]:
    """Return ``variables`` with each after those it is made from, else in the order given.

    Raises VariableError for names that are malformed or stand twice, modes there are not, and
    variables made from one another; all at once.
    """
    by_name = {variable.name: variable for variable in variables}
    ordered: list[Variable] = []
    done: set[str] = set()
    errors: list[DirectorError] = [*_wrong(variables)]

    def visit(variable: Variable, way: tuple[str, ...]) -> None:
        if variable.name in way:
            errors.append(
                VariableError(
                    f"variable '{variable.name}' is made from itself: "
                    + " from ".join(f"'{name}'" for name in (*way, variable.name)),
                    fix="take one of them out of the options",
                )
            )
            return
        if variable.name in done:
            return
        for name in requirements(variable):
            if name in by_name:
                visit(by_name[name], (*way, variable.name))
        if variable.name not in done:
            done.add(variable.name)
            ordered.append(variable)

    for variable in by_name.values():
        visit(variable, ())
    raise_all(errors)
    return ordered


def _wrong(variables: Sequence[Variable]) -> list[VariableError]:
    errors = []
    seen: set[str] = set()
    for variable in variables:
        if not _NAME.fullmatch(variable.name):
            errors.append(
                VariableError(
                    f"'{variable.name}' is not a variable's name",
                    fix="use letters, digits, '_' and '-', in parts divided by '/'",
                )
            )
        if variable.name in seen:
            errors.append(
                VariableError(
                    f"variable '{variable.name}' stands twice in 'variables'",
                    fix="take one of them out",
                )
            )
        if variable.update_mode not in _MODES:
            errors.append(
                VariableError(
                    f"variable '{variable.name}' has the unknown update_mode "
                    f"'{variable.update_mode}'",
                    fix=f"use one of {', '.join(_MODES)}",
                )
            )
        seen.add(variable.name)
    return errors
