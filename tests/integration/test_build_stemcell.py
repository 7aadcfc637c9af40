"""The stemcell this project builds: complete, and without anything of one machine in it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from local_machines import stemcell_tarball

from director.stemcell.open_stemcell import open_stemcell

pytestmark = [
    pytest.mark.machines,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="needs mmdebstrap"),
]


def test_a_stemcell_is_built(tmp_path: Path) -> None:
    # What all machines of the suite are made from; built here if no test needed it before.
    path = stemcell_tarball()
    opened = open_stemcell(path, tmp_path)
    assert (opened.operating_system, opened.formats) == ("debian-12", ("director-rootfs",))
    plain = tmp_path / "image.tar"
    packed = opened.image.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    with plain.open("wb") as target:
        command = ["zstd", "-dcq"] if packed else ["gzip", "-dc"]
        subprocess.run([*command, str(opened.image)], stdout=target, check=True)
    with tarfile.open(plain) as image:
        members = {m.name.removeprefix("./").rstrip("/"): m for m in image.getmembers()}

        def text(name: str) -> str:
            stream = image.extractfile(members[name])
            assert stream is not None
            return stream.read().decode()

        for needed in ("usr/sbin/sshd", "usr/bin/monit", "usr/bin/gcc", "usr/bin/make"):
            assert needed in members
        assert not [name for name in members if name.startswith("etc/ssh/ssh_host_")]
        assert "usr/bin/systemctl" not in members
        shadow = dict(line.split(":")[:2] for line in text("etc/shadow").splitlines())
        assert shadow["root"] == shadow["vcap"] == "*"
        assert all(secret[0] in "*!" for secret in shadow.values())
        assert "vcap:x:1000:1000:" in text("etc/passwd")
        settings = text("etc/ssh/sshd_config").splitlines()
        assert {"PasswordAuthentication no", "UseDNS no", "MaxSessions 100"} <= set(settings)
        assert text("etc/machine-id") == ""
        assert {"var/vcap/jobs", "var/vcap/monit/job", "var/vcap/data/sys/log"} <= set(members)
        assert members["var/vcap/sys"].linkname == "data/sys"
