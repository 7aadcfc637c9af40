"""Every error an operator can see: a code, an HTTP status, and three parts of text.

``what`` starts in lower case, names things in quotes and blames nobody; ``where`` is a position in
the operator's file; ``fix`` is an order the operator can follow. Codes are BOSH's where BOSH has
one for the case; a test keeps them unique.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from director.model.source import Source


class DirectorError(Exception):
    """The root of all errors that are the operator's business."""

    code: ClassVar[int] = 100
    status: ClassVar[int] = 500

    def __init__(self, what: str, *, where: Source | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  Fix: {self.fix}" if self.fix else text


class ErrorList(DirectorError):
    """Several errors found in one reading; shown together, in the order of the file."""

    code = 101
    status = 400

    def __init__(self, errors: Iterable[DirectorError]) -> None:
        self.errors: Sequence[DirectorError] = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


def raise_all(errors: Iterable[DirectorError]) -> None:
    """Raise what was found: nothing, the one error itself, or an :class:`ErrorList`."""
    found: list[DirectorError] = []
    for error in errors:
        found.extend(error.errors if isinstance(error, ErrorList) else [error])
    if len(found) == 1:
        raise found[0]
    if found:
        raise ErrorList(found)


# -- documents an operator writes ---------------------------------------------------------------


class YamlError(DirectorError):
    """A document is not YAML this director reads, or not the shape the document must have."""

    code = 440001
    status = 400


class ManifestError(DirectorError):
    """A deployment manifest is wrong: a key, a type, or something it names that does not exist."""

    code = 190014
    status = 400


class NotSupported(DirectorError):
    """BOSH knows this key or action and this director does not have it (yet)."""

    code = 190100
    status = 400


class CloudConfigError(DirectorError):
    """A cloud config is wrong."""

    code = 40001
    status = 400


class CpiConfigError(DirectorError):
    """A CPI config is wrong, or names a CPI that is not there."""

    code = 550000
    status = 400


class ConfigNotFound(DirectorError):
    """No config has this type, name or id."""

    code = 440012
    status = 404


class ConfigRequestError(DirectorError):
    """A config request lacks something or has the wrong shape."""

    code = 440010
    status = 400


class ConfigChanged(DirectorError):
    """Somebody else updated the config since it was looked at; ids are 0 where there is none."""

    code = 440013
    status = 412

    def __init__(self, what: str, *, latest_id: int, expected_latest_id: int) -> None:
        super().__init__(what, fix="look at the latest config and update it again")
        self.latest_id = latest_id
        self.expected_latest_id = expected_latest_id


class OpsFileError(DirectorError):
    """An operation of an ops file does not apply."""

    code = 440100
    status = 400


class VariableError(DirectorError):
    """A variable is missing, malformed, or cannot be generated."""

    code = 560000
    status = 400


class LinkError(DirectorError):
    """A link has no provider, or more than one."""

    code = 140014
    status = 400


class NetworkError(DirectorError):
    """An address is not available: outside its range, reserved, taken, or none left."""

    code = 130010
    status = 400


class AddressTaken(NetworkError):
    """Somebody else was given the address since it was found free; another one may do."""

    code = 130016


class PlacementError(DirectorError):
    """Instances cannot be put where the manifest wants them."""

    code = 190101
    status = 400


# -- content ------------------------------------------------------------------------------------


class ReleaseNotFound(DirectorError):
    """No release has this name."""

    code = 30005
    status = 404


class ReleaseVersionNotFound(DirectorError):
    """A release has no such version."""

    code = 30006
    status = 404


class ReleaseInUse(DirectorError):
    """A release is deployed and cannot be deleted."""

    code = 30007
    status = 400


class ReleaseVersionInUse(DirectorError):
    """A version of a release is deployed and cannot be deleted."""

    code = 30008
    status = 400


class ReleaseMismatch(DirectorError):
    """The same release version was uploaded before with other content."""

    code = 30014
    status = 400


class ReleaseInvalid(DirectorError):
    """A release directory or tarball is malformed."""

    code = 30001
    status = 400


class DigestMismatch(DirectorError):
    """A file's content does not have the digest it should have."""

    code = 30015
    status = 400


class StemcellNotFound(DirectorError):
    """No stemcell has this name, operating system or version."""

    code = 50003
    status = 404


class StemcellInUse(DirectorError):
    """A stemcell is used by a deployment and cannot be deleted."""

    code = 50004
    status = 400


class StemcellInvalid(DirectorError):
    """A stemcell definition or tarball is malformed."""

    code = 50001
    status = 400


class BlobNotFound(DirectorError):
    """No stored file has this id."""

    code = 100002
    status = 404


class TemplateError(DirectorError):
    """A template of a job raised, or reads something that is not there."""

    code = 80009
    status = 400


class CompileError(DirectorError):
    """A package's packaging script failed."""

    code = 120100
    status = 400


# -- deployments and machines -------------------------------------------------------------------


class DeploymentNotFound(DirectorError):
    """No deployment has this name."""

    code = 70000
    status = 404


class InstanceNotFound(DirectorError):
    """No instance has this group and id."""

    code = 70001
    status = 404


class InstanceInvalidIndex(DirectorError):
    """An instance is named by something that is neither an index nor a UUID."""

    code = 70002
    status = 400


class InstanceWithoutVm(DirectorError):
    """The instance has no VM to talk to."""

    code = 70004
    status = 400


class DiskNotFound(DirectorError):
    """No disk has this CID."""

    code = 520001
    status = 404


class ErrandNotFound(DirectorError):
    """No errand has this name."""

    code = 70009
    status = 400


class ErrandError(DirectorError):
    """An errand cannot be run as asked."""

    code = 510000
    status = 400


class MachineError(DirectorError):
    """A machine answered, and what it was told to do failed there."""

    code = 450001
    status = 400


class MachineUnreachable(DirectorError):
    """A machine does not answer, with the cause by name: no route, port closed, host key, ..."""

    code = 450002
    status = 400


class InstanceNotRunning(DirectorError):
    """An instance's processes did not all run within the watch time."""

    code = 400007
    status = 400


class CpiError(DirectorError):
    """A cloud refused or failed; the text is the cloud's own."""

    code = 100100
    status = 400


# -- tasks, locks, the API ----------------------------------------------------------------------


class TaskNotFound(DirectorError):
    """No task has this id."""

    code = 10000
    status = 404


class TaskCancelled(DirectorError):
    """The task stopped because somebody asked it to."""

    code = 10001
    status = 200


class LockBusy(DirectorError):
    """Another task holds the lock."""

    code = 10100
    status = 400


class LockLost(DirectorError):
    """The lock expired or was taken while the task ran."""

    code = 10101
    status = 400


class BadRequest(DirectorError):
    """An HTTP request lacks something or has the wrong shape."""

    code = 710001
    status = 400


class TooLarge(DirectorError):
    """A request's body is larger than this director takes."""

    code = 710002
    status = 413


class SettingsError(DirectorError):
    """The director's home directory or its settings file cannot be used."""

    code = 10103
    status = 500


class UsageError(DirectorError):
    """A command is used in a way it cannot work (raised by the command line only)."""

    code = 10102
    status = 400


# -- the command line's side --------------------------------------------------------------------


class DirectorRefused(DirectorError):
    """A director answered a request with an error; the text is the director's own."""

    code = 10201
    status = 400


class DirectorUnreachable(DirectorError):
    """No director answers at the address, or it cannot be trusted."""

    code = 10202
    status = 503


class TaskFailed(DirectorError):
    """A task that a command started ended in another state than done."""

    code = 10203
    status = 400
