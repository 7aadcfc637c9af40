"""What the templates of one job of one instance may see, as BOSH gives it to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from director.model.errors import VariableError
from director.model.instances import InstanceSpec, NetworkSpec
from director.model.placeholders import fill, find_placeholders, look_up, variable_name
from director.model.rendering import LinkView, RenderRequest
from director.model.resolved import (
    ResolvedDeployment,
    ResolvedGroup,
    ResolvedJob,
    ResolvedLink,
    Values,
)

_DOMAIN = "bosh"
_UNKNOWN_ADDRESS = "127.0.0.1"
_SENSITIVE = re.compile(r"pass|secret|private_key|token|credential", re.IGNORECASE)


def build_request(
    *,
    deployment: ResolvedDeployment,
    group: ResolvedGroup,
    job: ResolvedJob,
    spec: InstanceSpec,
    peers: Mapping[str, Sequence[InstanceSpec]],
    values: Values,
    archive: str,
) -> RenderRequest:
    """Return the request to render ``job`` for the instance ``spec`` of ``group``.

    ``peers`` are all instances of the deployment by group, for links; ``values`` the variables by
    the name the manifest uses. An address the cloud has not picked yet shows as 127.0.0.1, as in
    BOSH. Raises VariableError for a placeholder without a value.
    """
    lookup = look_up(values)
    wanted = {
        "properties": job.properties,
        "links": {name: _placeholder_parts(link) for name, link in job.links.items()},
        "networks": {n.name: n.cloud_properties for n in spec.networks},
    }
    used = {variable_name(reference) for reference in find_placeholders(wanted)}
    lacking = sorted(used - values.keys())
    if lacking:
        names = ", ".join(f"'{name}'" for name in lacking)
        raise VariableError(
            f"job '{job.name}' of instance group '{group.name}' uses the variables {names}, "
            "which have no value",
            fix="give them with -v, or list them under 'variables' to have them generated",
        )
    filled = fill(wanted, lookup) if used else wanted
    properties = filled["properties"]
    return RenderRequest(
        instance=f"{spec.group}/{spec.index}",
        release=job.release.name,
        job=job.name,
        archive=archive,
        templates=job.job.templates,
        spec=_spec_object(deployment, group, job, spec, filled["networks"]),
        properties=properties,
        property_names=tuple(p.name for p in job.job.properties),
        links={
            name: _link_view(link, filled["links"][name], peers) for name, link in job.links.items()
        },
        extra={
            "secrets": tuple(
                dict.fromkeys(
                    text
                    for found in (
                        _texts([values[name] for name in used]),
                        _sensitive_texts([properties, filled["links"]]),
                    )
                    for text in found
                )
            ),
            "given": tuple(dict.fromkeys(_given_texts(job, properties, filled["links"]))),
            "provides": [
                {"name": link.name, "type": link.type, "group": f"{link.name}-{link.type}"}
                for link in job.job.provides
            ],
        },
    )


def _spec_object(
    deployment: ResolvedDeployment,
    group: ResolvedGroup,
    job: ResolvedJob,
    spec: InstanceSpec,
    cloud_properties: Mapping[str, Any],
) -> dict[str, Any]:
    """Return BOSH's ``spec`` object. Source: BOSH's documentation of job templates, spec."""
    address = spec.address or _UNKNOWN_ADDRESS
    return {
        "deployment": deployment.name,
        "name": spec.group,
        "id": str(spec.id),
        "index": spec.index,
        "az": spec.az,
        "bootstrap": spec.bootstrap,
        "lifecycle": spec.lifecycle,
        "address": address,
        "ip": address,
        "dns_domain_name": _DOMAIN,
        "networks": {
            network.name: _network(deployment, spec, network, cloud_properties[network.name])
            for network in spec.networks
        },
        "persistent_disk": spec.disk.size_mb if spec.disk else 0,
        "release": {"name": job.release.name, "version": job.release.version},
        "job": {
            "name": spec.group,
            "templates": [
                {"name": other.name, "version": other.job.fingerprint} for other in group.jobs
            ],
        },
    }


def _network(
    deployment: ResolvedDeployment, spec: InstanceSpec, network: NetworkSpec, cloud_properties: Any
) -> dict[str, Any]:
    name = ".".join(
        re.sub(r"[^a-z0-9-]", "", part.lower().replace("_", "-"))
        for part in (str(spec.index), spec.group, network.name, deployment.name, _DOMAIN)
    )
    unknown = _UNKNOWN_ADDRESS if network.ip is None else None
    return {
        "type": network.type,
        "ip": network.ip or unknown,
        "netmask": network.netmask or unknown,
        "gateway": network.gateway or unknown,
        "dns": list(network.dns),
        "default": list(network.default),
        "dns_record_name": name,
        "cloud_properties": cloud_properties,
    }


# -- links --------------------------------------------------------------------------------------


def _placeholder_parts(link: ResolvedLink) -> dict[str, Any]:
    return {"properties": link.properties, "manual": link.manual or {}}


def _link_view(
    link: ResolvedLink, filled: Mapping[str, Any], peers: Mapping[str, Sequence[InstanceSpec]]
) -> LinkView:
    if link.manual is not None:
        manual = filled["manual"]
        return LinkView(
            instances=tuple(manual.get("instances") or ()),
            properties=manual.get("properties") or {},
            address=manual.get("address"),
        )
    providers = sorted(peers.get(link.group or "", ()), key=lambda peer: peer.index)
    return LinkView(
        instances=tuple(
            {
                "name": peer.group,
                "id": str(peer.id),
                "index": peer.index,
                "az": peer.az,
                "address": _address(peer, link.network),
                "bootstrap": peer.bootstrap,
            }
            for peer in providers
        ),
        properties=filled["properties"],
        group=link.group,
    )


def _address(peer: InstanceSpec, network: str | None) -> str:
    if network is None:
        return peer.address or _UNKNOWN_ADDRESS
    return next((n.ip for n in peer.networks if n.name == network), None) or _UNKNOWN_ADDRESS


# -- what errors must not show ------------------------------------------------------------------


def _texts(value: Any) -> Iterator[str]:
    """Yield every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _given_texts(
    job: ResolvedJob, properties: Mapping[str, Any], links: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the lines of all texts that are not the release's own: the manifest's, whose author may
    have given a password with ``-v`` that nothing shows to be one."""
    own = set(_texts([spec.default for spec in job.job.properties]))
    for text in _texts([properties, links]):
        if text not in own:
            yield from text.splitlines()


def _sensitive_texts(value: Any) -> Iterator[str]:
    """Yield the texts under keys whose names say that they hold a secret."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part) if _SENSITIVE.search(str(key)) else _sensitive_texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _sensitive_texts(part)
