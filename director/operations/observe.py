"""Look at every instance's VM, side by side: does it answer, and if not, is it still there?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import TaskCancelled
from director.model.ids import InstanceId
from director.model.instances import ActualInstance, Found, RecordedInstance

PATIENCE_S = 5.0
"""How long a VM that is there but silent is asked again before it counts as unresponsive."""


@contextmanager
def observing(
    world: World, run: TaskRun, recorded: Sequence[RecordedInstance]
) -> Iterator[Callable[[], list[ActualInstance]]]:
    """Observe while the block does something else; yields what waits for, and returns, the finds.

    A block that ends without asking for them does not wait for silent VMs.
    """
    left = threading.Event()

    def checkpoint() -> None:
        run.checkpoint()
        if left.is_set():
            raise TaskCancelled("nobody waits for what the machines answer")

    with world.new_pool(1) as pool:
        found = pool.submit(observe, world, run, recorded, checkpoint)
        try:
            yield found.result
        finally:
            left.set()


def observe(
    world: World,
    run: TaskRun,
    recorded: Sequence[RecordedInstance],
    checkpoint: Callable[[], None] | None = None,
) -> list[ActualInstance]:
    """Return what was found of each instance, in the order given.

    Costs one TCP exchange with sshd for a VM that answers; only a silent one costs a question to
    the cloud. What is installed is not read: the director alone installs, and records it.
    """
    found: dict[InstanceId, ActualInstance] = {}
    checkpoint = checkpoint or run.checkpoint

    def look(instance: RecordedInstance) -> None:
        found[instance.id] = _look(world, checkpoint, instance)

    with_vm = [i for i in recorded if i.vm is not None and i.vm.cid is not None]
    run_parallel(world.new_pool, with_vm, look, width=world.max_threads, checkpoint=checkpoint)
    return [
        found.get(instance.id, ActualInstance(recorded=instance, found=Found.NO_VM))
        for instance in recorded
    ]


def _look(
    world: World, checkpoint: Callable[[], None], instance: RecordedInstance
) -> ActualInstance:
    vm = instance.vm
    if vm is None or vm.cid is None:
        return ActualInstance(recorded=instance, found=Found.NO_VM)
    deadline = time.monotonic() + PATIENCE_S
    pause_s = 0.05
    while (cause := world.probe(vm)) is not None:
        if not world.cpi(vm.cpi).has_vm(vm.cid):
            return ActualInstance(
                recorded=instance,
                found=Found.MISSING,
                why=f"VM '{vm.cid}' is gone",
            )
        if time.monotonic() > deadline:
            return ActualInstance(recorded=instance, found=Found.UNRESPONSIVE, why=cause)
        checkpoint()
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.5)
    return ActualInstance(recorded=instance, found=Found.RESPONSIVE)
