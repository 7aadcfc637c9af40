"""Deploy: bring a deployment to what its manifest says. Also start, stop, restart and recreate.

One path for all: observe what is there, plan what is missing, do it. Nothing is remembered between
runs but the records, so a run that died is finished by the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from director.execute.compile import CompilationSite, compilation_owner
from director.execute.executor import execute
from director.execute.lock import deployment_lock, package_lock
from director.execute.rollout import Rollout
from director.execute.run import TaskRun
from director.execute.vms import delete_leftovers
from director.execute.world import World
from director.model.errors import AddressTaken, MachineUnreachable
from director.model.events import AuditEvent
from director.model.instances import (
    ActualInstance,
    DesiredState,
    InstanceSpec,
    RecordedInstance,
)
from director.model.records import AddressRecord, DeploymentRecord, PlanRecord
from director.model.resolved import ResolvedDeployment
from director.operations.change_request import DeployRequest, plan_options, read_request
from director.operations.compilation_site import TRIES, claimed_site
from director.operations.desired import (
    Desired,
    Source,
    configs_of,
    deployed_source,
    desire,
    fill_values,
    read_and_resolve,
    render_specs,
    template_names,
)
from director.operations.observe import observing
from director.plan.describe import describe, describe_json
from director.plan.planner import plan, unresponsive
from director.plan.steps import Plan

if TYPE_CHECKING:
    from director.variables.credentials import Credentials


def deploy(world: World, run: TaskRun) -> str:
    """Run an ``update_deployment`` task; returns the deployment's URL path."""
    request = read_request(run.task)
    with deployment_lock(world, run, request.deployment) as held:
        source = _what_to_deploy(world, request)
        if request.dry_run:
            desired, actual = _prepare(world, run, source, world.dry_credentials())
            made = _plan(world, desired, actual, request)
            run.write_result("\n".join([describe(made), *_warnings(desired.resolved)]))
            return f"/deployments/{request.deployment}"
        _begin(world, run, request)
        credentials = world.credentials()
        found, actual = _prepare(world, run, source, credentials)
        made = _plan(world, found, actual, request)
        desired = claim_anew(
            world, found, lambda: desire(world, found.resolved, credentials, refresh=False)
        )
        if desired is not found:
            made = _plan(world, desired, actual, request)
        _keep_plan(world, run, made)
        _execute(world, run, desired, made, request, held)
        _finish(world, run, desired, source)
    return f"/deployments/{request.deployment}"


def _warnings(resolved: ResolvedDeployment) -> list[str]:
    return [f"Warning: {warning}" for warning in resolved.warnings]


def _what_to_deploy(world: World, request: DeployRequest) -> Source:
    """Return the manifest sent with the configs its diff was shown for, or the current ones; for a
    change of state what the deployment was deployed from."""
    if request.manifest is None:
        return deployed_source(world, request.deployment)
    configs = configs_of(world, request.cloud_config_ids)
    return Source(
        manifest=request.manifest, configs=configs or world.store.configs.list(type="cloud")
    )


def _begin(world: World, run: TaskRun, request: DeployRequest) -> None:
    """Make room: what an earlier director left half-made goes first."""
    world.store.deployments.ensure(request.deployment)
    delete_leftovers(world, run, request.deployment)
    world.store.addresses.release(owner=compilation_owner(request.deployment))


def _prepare(
    world: World,
    run: TaskRun,
    source: Source,
    credentials: Credentials,
) -> tuple[Desired, list[ActualInstance]]:
    stage = run.stage("Preparing deployment", total=2)
    recorded = world.store.instances.list(str(run.task.deployment))
    # Machines take their time to answer and templates to be rendered: both at once.
    with observing(world, run, recorded) as found:
        with stage.track("Preparing deployment"):
            resolved = read_and_resolve(world, source)
            world.renderer().warm_up(template_names(resolved))
            # Before the templates: a property that is misspelt is missing in them.
            for warning in resolved.warnings if run.task.args.get("manifest") else ():
                run.warn(warning)
        run.checkpoint()
        with stage.track("Rendering templates"):
            desired = desire(world, resolved, credentials)
            actual = found()
    return desired, actual


def _plan(
    world: World, desired: Desired, actual: Sequence[ActualInstance], request: DeployRequest
) -> Plan:
    record = world.store.deployments.get(desired.resolved.name)
    options = plan_options(request, actual, first_deploy=record is None or record.manifest is None)
    silent = unresponsive(actual, options)
    if silent:
        raise MachineUnreachable(
            "these instances have a VM that does not answer:\n"
            + "\n".join(f"  {i.recorded.label}: {i.why}" for i in silent),
            fix="deploy with --fix to recreate them (disks and addresses are kept)",
        )
    return plan(
        desired.resolved,
        desired.placement,
        desired.specs,
        actual,
        world.store.releases.compiled_keys(),
        options,
    )


def _keep_plan(world: World, run: TaskRun, made: Plan) -> None:
    text = describe(made)
    run.log.info("plan:\n%s", text)
    run.log.debug("plan as JSON: %s", json.dumps(describe_json(made)))
    world.store.plans.save(
        PlanRecord(
            task_id=run.task.id, deployment=made.deployment, text=text, created_at=world.now()
        )
    )


def claim(world: World, desired: Desired) -> None:
    """Record the instances and take their addresses, before anything is made for them."""
    known = {instance.id for instance in desired.recorded}
    states = desired.placement.states
    world.store.instances.save_many(
        RecordedInstance(
            id=spec.id,
            deployment=spec.deployment,
            group=spec.group,
            index=spec.index,
            az=spec.az,
            bootstrap=spec.bootstrap,
            state=states.get(spec.id, DesiredState.STARTED),
            dirty=True,
        )
        for spec in desired.specs
        if spec.id not in known
    )
    world.store.addresses.reserve([row for spec in desired.specs for row in addresses_of(spec)])


def claim_anew(world: World, desired: Desired, choose: Callable[[], Desired]) -> Desired:
    """Claim what is desired and return it; where another deployment took one of its addresses
    since they were chosen, ``choose`` chooses again."""
    for more in reversed(range(TRIES)):
        try:
            claim(world, desired)
            break
        except AddressTaken:
            if not more:
                raise
            desired = choose()
    return desired


def addresses_of(spec: InstanceSpec) -> list[AddressRecord]:
    """Return the addresses an instance holds: the director chose them, not the cloud."""
    return [
        AddressRecord(
            network=network.name, ip=network.ip, deployment=spec.deployment, instance_id=spec.id
        )
        for network in spec.networks
        if network.ip is not None and network.held
    ]


def _execute(
    world: World,
    run: TaskRun,
    desired: Desired,
    made: Plan,
    request: DeployRequest,
    held: Callable[[], bool],
) -> None:
    with claimed_site(world, desired, made.compile) as site:
        execute(new_rollout(world, run, desired, site, request.skip_drain, held), made)


def new_rollout(
    world: World,
    run: TaskRun,
    desired: Desired,
    site: CompilationSite | None,
    skip_drain: Callable[[RecordedInstance], bool],
    held: Callable[[], bool],
) -> Rollout:
    """Return what a run of a plan for ``desired`` shares."""

    def rerender(specs: Mapping[Any, InstanceSpec]) -> tuple[list[InstanceSpec], Any]:
        return render_specs(world, desired.resolved, list(specs.values()), desired.values)

    return Rollout(
        world=world,
        run=run,
        resolved=desired.resolved,
        site=site,
        package_lock=lambda step: package_lock(world, run, step),
        fill=lambda data: fill_values(data, desired.values),
        rerender=rerender,
        skip_drain=skip_drain,
        held=held,
        specs={spec.id: spec for spec in (*desired.specs, *desired.errands)},
        rendered=dict(desired.rendered),
    )


def _finish(
    world: World,
    run: TaskRun,
    desired: Desired,
    source: Source,
) -> None:
    """Free the addresses no longer used and record the manifest as deployed."""
    resolved = desired.resolved
    held_now: dict[str, set[tuple[str, str]]] = {}
    for row in world.store.addresses.all():
        if row.deployment == resolved.name and row.instance_id is not None:
            held_now.setdefault(row.instance_id, set()).add((row.network, row.ip))
    for spec in desired.specs:
        keep = {(row.network, row.ip) for row in addresses_of(spec)}
        if held_now.get(spec.id, set()) - keep:
            world.store.addresses.release(instance_id=spec.id, keep=sorted(keep))
    record = world.store.deployments.get(resolved.name)
    before = record or DeploymentRecord(name=resolved.name)
    after = replace(
        before,
        manifest=source.manifest,
        cloud_config_ids=tuple(config.id for config in source.configs),
        releases=_releases_of(resolved),
        stemcells=_stemcells_of(resolved),
    )
    world.store.deployments.record(after)
    run.audit(
        AuditEvent(
            action="create" if before.manifest is None else "update",
            object_type="deployment",
            object_name=resolved.name,
            deployment=resolved.name,
            context={"before": _contents(before), "after": _contents(after)},
        )
    )


def _releases_of(resolved: ResolvedDeployment) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((r.name, r.version) for r in resolved.releases.values()))


def _stemcells_of(resolved: ResolvedDeployment) -> tuple[tuple[str, str], ...]:
    copies = [copy for same in resolved.stemcells.values() for copy in same]
    return tuple(sorted({(copy.name, copy.version) for copy in copies}))


def _contents(record: DeploymentRecord) -> dict[str, list[str]]:
    return {
        "releases": [f"{name}/{version}" for name, version in record.releases],
        "stemcells": [f"{name}/{version}" for name, version in record.stemcells],
    }
