"""Reading what a machine prints about itself."""

from __future__ import annotations

import pytest

from director.machine.observe import read_inventory

D = "a" * 64
INSTALLED = f"""spec {D}
started
monit director:hush
/var/vcap/jobs:
total 0
lrwxrwxrwx 1 root root 90 Nov 20 18:22 redis -> /var/vcap/data/jobs/redis/{D}
lrwxrwxrwx 1 root root 90 Nov 20 18:22 odd -> /etc/passwd

/var/vcap/packages:
total 0
lrwxrwxrwx 1 root root 94 Nov 20 18:22 lib -> /var/vcap/data/packages/lib/{D}
have jobs/redis/{D}
have packages/lib/{D}
have nonsense
disk /dev/sdb
"""
MEASURED = """== loadavg
0.01 0.02 0.03 1/200 77
== meminfo
MemTotal:        1000000 kB
MemAvailable:     750000 kB
SwapTotal:             0 kB
SwapFree:              0 kB
== uptime
5511.20 99.1
== init
1 (init) x) S 0 1 1 0 -1 4194560 159 165 0 0 0 0 0 0 20 0 1 0 400000 2654208 413
== cpu
cpu  100 0 100 800 0 0 0 0 0 0
cpu  150 0 120 820 10 0 0 0 0 0
== limits
== dfk
/ overlay 1000 250 750 25% /
/var/vcap/data overlay 1000 250 750 26% /
/var/vcap/store /dev/loop1 1000 10 990 1% /var/vcap/store
== dfi
/ overlay 1000 30 970 3% /
/var/vcap/data overlay 1000 30 970 - /
"""


def test_installed() -> None:
    found = read_inventory(INSTALLED)
    assert found.spec_digest == D
    assert found.started
    assert found.jobs == {"redis": D}
    assert found.packages == {"lib": D}
    assert found.have == {("job", "redis", D), ("package", "lib", D)}
    assert found.disk == "/dev/sdb"
    assert "hush" not in repr(found)
    assert found.vitals == {}


def test_vitals_have_the_shape_of_the_api() -> None:
    assert read_inventory(INSTALLED + MEASURED).vitals == {
        "cpu": {"sys": "20.0", "user": "50.0", "wait": "10.0"},
        "disk": {
            "system": {"inode_percent": "3", "percent": "25"},
            "ephemeral": {"inode_percent": "0", "percent": "26"},
            "persistent": {"inode_percent": "0", "percent": "1"},
        },
        "load": ["0.01", "0.02", "0.03"],
        "mem": {"kb": "250000", "percent": "25"},
        "swap": {"kb": "0", "percent": "0"},
        "uptime": {"secs": 1511},
    }


@pytest.mark.parametrize(
    "limits",
    [
        "memory.max 204800000\nmemory.current 102400000",
        "memory/memory.limit_in_bytes 204800000\nmemory/memory.usage_in_bytes 102400000",
    ],
)
def test_a_container_is_measured_by_its_own_limit(limits: str) -> None:
    text = MEASURED.replace("== limits\n", f"== limits\n{limits}\n")
    assert read_inventory(f"\n{text}").vitals["mem"] == {"kb": "100000", "percent": "50"}


def test_garbage_is_passed_over() -> None:
    found = read_inventory("\x00 have a/b/c/d\nhave\ncheck\n == \n== cpu\nx y z\n")
    assert found.have == frozenset()
    assert found.vitals["cpu"]["user"] == "0.0"
