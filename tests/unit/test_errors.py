"""Error codes are unique, and every error says where and how to fix it when it can."""

import inspect

import pytest

import cpis.contract
from director.model import errors
from director.model.errors import DirectorError, ErrorList, ManifestError, raise_all
from director.model.source import Source


def all_errors() -> list[type[DirectorError]]:
    found = {
        cls
        for module in (errors, cpis.contract)
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, DirectorError)
    }
    return sorted(found, key=lambda cls: cls.__name__)


def test_codes_are_unique():
    codes = [cls.code for cls in all_errors()]
    assert sorted(codes) == sorted(set(codes))


def test_text_has_place_and_fix():
    error = ManifestError(
        "unknown vm_type 'smal'", where=Source("cf.yml", 41, 12), fix="use 'small'"
    )
    assert str(error) == "cf.yml:41:12: unknown vm_type 'smal'\n  Fix: use 'small'"


def test_raise_all_flattens_and_keeps_order():
    raise_all([])
    with pytest.raises(ManifestError, match="one"):
        raise_all([ManifestError("one")])
    with pytest.raises(ErrorList) as caught:
        raise_all([ErrorList([ManifestError("one"), ManifestError("two")]), ManifestError("three")])
    assert [error.what for error in caught.value.errors] == ["one", "two", "three"]
