"""How long a local machine takes from create_vm to the answer of an authenticated SSH command.

Run as root: ``.venv/bin/python benchmarks/local_machine.py [--runtime lxc] [--count 20]``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from local_machines import Keys, local_cpi, manual_network, stemcell_image

from director.machine.host_keys import LoginKey
from director.machine.reachable import probe
from director.machine.ssh_machine import SshMachine
from director.machine.transport import Transport


def log_in(address: str, keys: Keys) -> None:
    """Run a command as the director does, as soon as the machine's sshd answers."""
    login = LoginKey(private_key=keys.login.private_key, public_key=keys.login.public_key)
    while probe(address) is not None:
        time.sleep(0.005)
    machine = SshMachine(
        lambda: Transport(address, host_public_key=keys.host.public_key, login_key=login)
    )
    try:
        assert machine.run_command("echo here").stdout == "here\n"
    finally:
        machine.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default="auto", choices=["auto", "lxc", "unshare"])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--subnet", default="10.233.1")
    asked = parser.parse_args()
    keys = Keys()
    with local_cpi("benchmark", runtime=asked.runtime) as cpi:
        stemcell = cpi.create_stemcell(str(stemcell_image()), {})

        def make(n: int) -> tuple[str, float]:
            address = f"{asked.subnet}.{10 + n}"
            network = {"default": manual_network(address, gateway=f"{asked.subnet}.1")}
            started = time.perf_counter()
            cid, _ = cpi.create_vm(f"agent-{n}", stemcell, {"memory": 256}, network, [], keys.env)
            log_in(address, keys)
            return cid, time.perf_counter() - started

        one_by_one = [make(n) for n in range(8)]
        times = sorted(taken for _, taken in one_by_one)
        print(f"one:     median {statistics.median(times):.3f} s, worst {times[-1]:.3f} s")
        with ThreadPoolExecutor(asked.count) as threads:
            started = time.perf_counter()
            together = list(threads.map(make, range(100, 100 + asked.count)))
            print(f"{asked.count} at once: {time.perf_counter() - started:.3f} s, all answering")
            cids = [cid for cid, _ in (*one_by_one, *together)]
            started = time.perf_counter()
            list(threads.map(cpi.delete_vm, cids))
            print(f"deleting {len(cids)}: {time.perf_counter() - started:.3f} s")


if __name__ == "__main__":
    main()
