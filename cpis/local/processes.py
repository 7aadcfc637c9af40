"""Running the host's own programs."""

from __future__ import annotations

import shutil
import subprocess

from cpis.contract import CloudError

PACKAGES = {
    "ip": "iproute2",
    "losetup": "mount",
    "lxc-start": "lxc",
    "nft": "nftables",
    "tar": "tar",
    "unshare": "util-linux",
    "zstd": "zstd",
}


class ProgramFailed(CloudError):
    """A program of the host ended with an error; the text holds its last lines."""

    code = 100120


def run(argv: list[str], *, stdin: str = "", timeout_s: float = 60) -> str:
    """Run a program and return what it wrote; raises ProgramFailed with its last lines.

    It runs in a session of its own, so that Ctrl-C in a terminal does not reach it half-way.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError as error:
        package = PACKAGES.get(argv[0], argv[0])
        raise ProgramFailed(
            f"the program '{argv[0]}' is not installed", fix=f"install it: apt install {package}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"'{argv[0]}' did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise ProgramFailed(f"'{' '.join(argv[:3])}' failed: {' / '.join(said) or 'no message'}")
    return done.stdout


def is_installed(program: str) -> bool:
    """Tell whether a program is on the PATH."""
    return shutil.which(program) is not None
