"""The methods of BOSH's CPI protocol: what each is asked with and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST_CID = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a value must be: in words, and as a test."""

    wanted: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of the protocol. ``defaults`` are of the last arguments, which may be left out.

    ``ours``: an extension that only executables offer whose ``info`` has ``director``.
    """

    arguments: tuple[Shape, ...] = ()
    result: Shape
    defaults: tuple[Any, ...] = ()
    ours: bool = False


def _is_cid(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_CID and value.isprintable()


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_vm(value: Any) -> bool:
    return _is_cid(value) or (isinstance(value, list) and len(value) > 0 and _is_cid(value[0]))


_ANYTHING = Shape(wanted="anything", fits=lambda _: True)
_TEXT = Shape(wanted="text", fits=lambda value: isinstance(value, str))
_CID = Shape(wanted="a cloud id", fits=_is_cid)
_CID_OR_NULL = Shape(
    wanted="a cloud id or null", fits=lambda value: value is None or _is_cid(value)
)
_CIDS = Shape(
    wanted="a list of cloud ids",
    fits=lambda value: isinstance(value, list) and all(_is_cid(item) for item in value),
)
_SIZE = Shape(wanted="a whole number of MiB", fits=_is_size)
_BOOLEAN = Shape(wanted="true or false", fits=lambda value: isinstance(value, bool))
_MAPPING = Shape(wanted="a mapping", fits=lambda value: isinstance(value, dict))
_MAPPING_OR_NULL = Shape(
    wanted="a mapping or null", fits=lambda value: value is None or isinstance(value, dict)
)
_VM = Shape(wanted="a cloud id, or a list of it and the networks", fits=_is_vm)
_HINT = Shape(
    wanted="a device hint: text, a mapping or null",
    fits=lambda value: value is None or isinstance(value, str | dict),
)

METHODS: Mapping[str, Method] = {
    "info": Method(result=_MAPPING_OR_NULL),
    "create_stemcell": Method(arguments=(_TEXT, _MAPPING), result=_CID),
    "delete_stemcell": Method(arguments=(_CID,), result=_ANYTHING),
    "create_vm": Method(
        arguments=(_TEXT, _CID, _MAPPING, _MAPPING, _CIDS, _MAPPING), result=_VM, defaults=({},)
    ),
    "delete_vm": Method(arguments=(_CID,), result=_ANYTHING),
    "has_vm": Method(arguments=(_CID,), result=_BOOLEAN),
    "reboot_vm": Method(arguments=(_CID,), result=_ANYTHING),
    "set_vm_metadata": Method(arguments=(_CID, _MAPPING), result=_ANYTHING),
    "calculate_vm_cloud_properties": Method(arguments=(_MAPPING,), result=_MAPPING),
    # The fourth argument is the token, an extension of ours.
    "create_disk": Method(
        arguments=(_SIZE, _MAPPING, _CID_OR_NULL, _TEXT), result=_CID, defaults=(None, "")
    ),
    "delete_disk": Method(arguments=(_CID,), result=_ANYTHING),
    "has_disk": Method(arguments=(_CID,), result=_BOOLEAN),
    "attach_disk": Method(arguments=(_CID, _CID), result=_HINT),
    "detach_disk": Method(arguments=(_CID, _CID), result=_ANYTHING),
    "resize_disk": Method(arguments=(_CID, _SIZE), result=_ANYTHING),
    "update_disk": Method(arguments=(_CID, _SIZE, _MAPPING), result=_CID_OR_NULL),
    "set_disk_metadata": Method(arguments=(_CID, _MAPPING), result=_ANYTHING),
    "get_disks": Method(arguments=(_CID,), result=_CIDS),
    "snapshot_disk": Method(arguments=(_CID, _MAPPING), result=_CID, defaults=({},)),
    "delete_snapshot": Method(arguments=(_CID,), result=_ANYTHING),
    "find_vm": Method(arguments=(_TEXT,), result=_CID_OR_NULL, ours=True),
    "find_disk": Method(arguments=(_TEXT,), result=_CID_OR_NULL, ours=True),
    "console_output": Method(arguments=(_CID,), result=_TEXT, ours=True),
}
