"""Where this host gets its packages from, as apt itself understands its configuration."""

from __future__ import annotations

import re
import subprocess

from director.model.errors import StemcellInvalid
from director.stemcell.definition import StemcellDefinition

_FORMAT = "$(REPO_URI)\t$(RELEASE)\t$(CODENAME)\t$(COMPONENT)"
_PASSED_ON = re.compile(
    r"Acquire::(https?::(Proxy|Timeout)|Retries|Check-Valid-Until|Check-Date)\b.*;"
)


def source_lines(definition: StemcellDefinition) -> tuple[tuple[str, ...], bool]:
    """Return the apt lines a stemcell is built from, and whether they are the host's own.

    A suite's updates and security fixes come along where the host has them. Raises StemcellInvalid
    saying what is missing: a keyring, or any source of the suite.
    """
    if not definition.keyring.is_file():
        raise StemcellInvalid(
            f"this host does not have the keyring '{definition.keyring}', which vouches for the"
            f" packages of suite '{definition.suite}'",
            fix=f"install the package {definition.keyring_package}",
        )
    configured = _configured(definition.suite)
    chosen = configured or definition.fallback_sources
    if not chosen:
        raise StemcellInvalid(
            f"no package source configured on this host has the suite '{definition.suite}'",
            fix="add one below /etc/apt/sources.list.d and run apt-get update, or write"
            " 'fallback_sources' into the stemcell definition",
        )
    lines = [
        f"deb [signed-by={definition.keyring}] {uri} {suite} {components}"
        for uri, suite, components in chosen
    ]
    return tuple(lines), bool(configured)


def acquire_options() -> str:
    """Return the host's apt settings on how to fetch (proxies, retries), as apt.conf text."""
    dump = _apt("apt-config", "dump")
    return "".join(line + "\n" for line in dump.splitlines() if _PASSED_ON.match(line))


def _configured(suite: str) -> tuple[tuple[str, str, str], ...]:
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    components: dict[tuple[str, str], list[str]] = {}
    for line in _apt(
        "apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"
    ).splitlines():
        uri, release, codename, component = (line.split("\t") + [""] * 4)[:4]
        if (release in wanted or codename in wanted) and uri.startswith("http"):
            names = components.setdefault((uri, release), [])
            if component not in names:
                names.append(component)
    found = tuple((uri, release, " ".join(names)) for (uri, release), names in components.items())
    # Updates without the suite itself are no system.
    return found if any(release == suite for _, release, _ in found) else ()


def _apt(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise StemcellInvalid(
            f"'{command[0]}' does not work on this host: {error}",
            fix="build the stemcell on a Debian or Ubuntu host",
        ) from error
    return done.stdout
