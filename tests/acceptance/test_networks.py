"""Networks as machines see them: dynamic, several at once, a subnet for each AZ, static IPs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from diary_release import Diary, diary_manifest

pytestmark = pytest.mark.machines

LOOK = (
    "ip -4 -o address show scope global | awk '{print $4}'; ip route show default;"
    " grep nameserver /etc/resolv.conf"
)


def test_networks(lab: Any, diary: Diary, tmp_path: Path) -> None:
    release = Path(diary.manifest["releases"][0]["url"].removeprefix("file://"))
    manifest = diary_manifest("nets", release)
    del manifest["instance_groups"][1]
    plain = manifest["instance_groups"].pop()
    del plain["persistent_disk"]
    plain["jobs"] = [{"name": "check", "release": "diary"}]

    def group(name: str, instances: int, *networks: dict[str, Any]) -> None:
        made = {**copy.deepcopy(plain), "name": name, "instances": instances}
        manifest["instance_groups"].append({**made, "networks": list(networks)})

    static = ["10.233.2.205", "10.233.3.203"]
    group("roams", 1, {"name": "roaming"})
    group(
        "both",
        1,
        {"name": "default", "default": ["gateway"]},
        {"name": "second", "default": ["dns"]},
    )
    group("fixed", 2, {"name": "split", "static_ips": static})
    group("spread", 2, {"name": "split"})
    nets = Diary(director=lab, directory=tmp_path, manifest=manifest)
    try:
        nets.deploy()
        ips = {
            name: [row["ips"].split("\n") for row in nets.instances(name)]
            for name in ("roams", "both", "fixed", "spread")
        }
        assert ips["roams"][0][0].startswith("10.233.5.")
        assert [ip.rpartition(".")[0] for ip in ips["both"][0]] == ["10.233.1", "10.233.4"]
        assert sorted(ip for (ip,) in ips["fixed"]) == static
        azs = {row["ips"].rpartition(".")[0]: row["az"] for row in nets.instances("spread")}
        assert azs == {"10.233.2": "z1", "10.233.3": "z2"}

        looks = {
            row["instance"].partition("/")[0]: row["stdout"]
            for row in nets.rows("ssh", "-r", "-c", LOOK)
        }
        assert f"{ips['roams'][0][0]}/24" in looks["roams"]
        assert "default via 10.233.5.1 " in looks["roams"]
        assert all(f"{ip}/24" in looks["both"] for ip in ips["both"][0])
        assert "default via 10.233.1.1 " in looks["both"]
        assert looks["both"].count("default via") == 1
        assert "nameserver 10.233.4.1" in looks["both"]

        before = nets.rows("instances", "--details")
        assert "Updating instance" not in nets.deploy()
        assert nets.rows("instances", "--details") == before
        # Static addresses move with the manifest; nothing else is touched.
        manifest["instance_groups"][2]["networks"][0]["static_ips"] = ["10.233.2.206", static[1]]
        told = nets.deploy()
        assert "Updating instance fixed" in told
        assert "Updating instance spread" not in told
        assert sorted(row["ips"] for row in nets.instances("fixed")) == ["10.233.2.206", static[1]]
    finally:
        nets.run("delete-deployment", "--force")
