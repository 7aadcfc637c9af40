"""Finding a CPI by name."""

from __future__ import annotations

import pytest

from cpis.contract import CloudError, Cpi
from cpis.memory import MemoryCpi
from cpis.registry import known_cpis, load_cpi


@pytest.mark.parametrize("name", ["memory", "cpis.memory:MemoryCpi"])
def test_loads_by_name_and_by_path(name: str) -> None:
    cpi = load_cpi(name, {})
    assert isinstance(cpi, MemoryCpi)
    assert isinstance(cpi, Cpi)


def test_knows_the_installed_ones() -> None:
    assert {"local", "memory"} <= set(known_cpis())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("memry", "did you mean 'memory'"),
        ("aws-of-yesterday", "installed: "),
        ("no_such_package.cpi:Cpi", "install 'no_such_package'"),
        ("cpis.memory:Nothing", "does not exist"),
        ("collections:OrderedDict", "is no CPI: it lacks attach_disk"),
    ],
)
def test_names_what_is_wrong(name: str, says: str) -> None:
    with pytest.raises(CloudError) as caught:
        load_cpi(name, {})
    assert says in str(caught.value)
