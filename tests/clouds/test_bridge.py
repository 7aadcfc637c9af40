"""The bridge itself: machines follow what a cloud reports, whatever that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface

import local_machines
import pytest
from clouds import cloud_init
from clouds.bridge import Bridge, Server, bridge, wait_for
from local_machines import Keys

from cpis.libcloud_base.user_data import user_data
from cpis.local import LocalCpi

ADDRESS = "10.237.3.10"
DONE = "test -e /var/lib/director/done && test ! -e /run/director/booting && echo done"


class PaperCloud:
    """A cloud that is what a test writes into it."""

    def __init__(self) -> None:
        self.there: dict[str, Server] = {}
        self.disks: dict[str, int] = {}

    def servers(self) -> dict[str, Server]:
        return dict(self.there)

    def volumes(self) -> dict[str, int]:
        return dict(self.disks)


@pytest.fixture
def cloud() -> PaperCloud:
    return PaperCloud()


@pytest.fixture
def cpi() -> Iterator[LocalCpi]:
    with local_machines.local_cpi("bridge") as made:
        yield made


def server(keys: Keys, **more: object) -> Server:
    bosh = {**keys.env["bosh"], "swap_size": 0}
    made = Server(
        id="i-1",
        image="image-1",
        address=IPv4Interface(f"{ADDRESS}/24"),
        gateway="10.237.3.1",
        user_data=user_data(hostname="vm-1", env={"bosh": bosh}),
    )
    return replace(made, **more)


def by_id(volume: str) -> tuple[str]:
    return (f"/dev/disk/by-id/virtio-{volume}",)


@pytest.mark.machines
def test_a_machine_follows_its_server(cloud: PaperCloud, cpi: LocalCpi) -> None:
    keys = Keys()
    with bridge(cloud, cpi, local_machines.stemcell_image()) as machines:
        cloud.disks = {"volume-a": 100}
        cloud.there = {"i-1": server(keys, scratch={"/dev/vdb": 200})}
        _wait_until_prepared(machines, keys)
        # Logging in checks the host key of the user data, and nothing else gave it to the machine.
        told = keys.run(ADDRESS, "root", "hostname; cat /etc/image-of-cloud")
        assert told == "vm-1\nimage-1"
        assert keys.run(ADDRESS, "vcap", "id -un; sudo -n id -u") == "vcap\n0\n"
        mounted = keys.run(ADDRESS, "root", "df -Pm /var/vcap/data | tail -n 1").split()
        assert int(mounted[1]) > 150
        assert keys.run(ADDRESS, "root", "echo x >/var/vcap/data/x; readlink /var/vcap/sys")

        volumes = {"volume-a": by_id("volume-a")}
        cloud.there = {"i-1": replace(cloud.there["i-1"], volumes=volumes)}
        _wait_for_path(machines, by_id("volume-a")[0], there=True)
        keys.run(ADDRESS, "root", f"mkfs.ext4 -q -L kept {by_id('volume-a')[0]}")

        machines.run_in("i-1", ": >/run/before")
        cloud.there = {"i-1": replace(cloud.there["i-1"], reboots=1)}
        wait_for(machines, "it was not rebooted", lambda: _rebooted(machines))
        assert keys.run(ADDRESS, "root", "cat /var/vcap/data/x; ls /run/director || :") == "x\n"
        _wait_for_path(machines, by_id("volume-a")[0], there=True)

        cloud.there = {"i-1": replace(cloud.there["i-1"], volumes={})}
        _wait_for_path(machines, by_id("volume-a")[0], there=False)
        # A new server gets the volume as the old one left it.
        cloud.there = {"i-2": server(keys, id="i-2", volumes=volumes)}
        wait_for(machines, "no second machine", lambda: "i-2" in machines.names())
        label = f"blkid -p -s LABEL -o value {by_id('volume-a')[0]}"
        wait_for(machines, "no label", lambda: machines.run_in("i-2", label) == "kept\n")
        cloud.there, cloud.disks = {}, {}
        wait_for(machines, "machines are left", lambda: not machines.names())
        wait_for(machines, "a disk is left", lambda: not cpi._disks.all())


@pytest.mark.machines
def test_what_goes_wrong_fails_the_test(cloud: PaperCloud, cpi: LocalCpi) -> None:
    broken = replace(server(Keys()), user_data="#!/bin/sh\necho no cloud-config\n")
    cloud.there = {"i-1": broken}
    with bridge(cloud, cpi, local_machines.stemcell_image()) as machines:
        with pytest.raises(AssertionError, match="the bridge failed"):
            wait_for(machines, "nothing happened", lambda: False)
        machines.error = None  # seen; else it would be raised at the end again
    assert not cpi._machines.all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\n", "does not know '#!/bin/sh'"),
        ("#cloud-config\ndisable_root: false\nntp: {}\n", "does not know .'ntp'"),
        ("#cloud-config\nhostname: a\n", "root could not log in"),
    ],
)
def test_unknown_user_data_is_refused(text: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        cloud_init.parse(text)


def _rebooted(machines: Bridge) -> bool:
    try:
        return "cloud-init-early-done" in machines.run_in("i-1", "[ -e /run/before ] || ls /run")
    except AssertionError:
        return False  # it is down just now


def _wait_until_prepared(machines: Bridge, keys: Keys) -> None:
    wait_for(machines, "no machine", lambda: "i-1" in machines.names())
    wait_for(
        machines,
        "the first boot did not end",
        lambda: keys.run(ADDRESS, "root", DONE) == "done\n",
    )


def _wait_for_path(machines: Bridge, path: str, *, there: bool) -> None:
    look = f"[ -b {path} ] && echo there || :"
    wait_for(machines, path, lambda: (machines.run_in("i-1", look) == "there\n") is there)
