"""Where EC2 is stricter or slower than moto: moto's own classes, changed. Import it once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume, VolumeModification
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore


@dataclass
class World:
    """What moto does not keep. One thread at a time has it."""

    delay_s: float = 0.05
    ends_s: float = 0.0
    unseen_s: float = 0.0
    doomed: float = 0.0
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    born: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    inside: bool = False

    def after(self, do: Callable[[], None], at_least_s: float = 0.0) -> None:
        delay_s = max(self.delay_s, at_least_s)
        if delay_s <= 0:
            do()
        else:
            self.later.append((time.monotonic() + delay_s, do))

    def settle(self) -> None:
        """Let happen what is due."""
        now = time.monotonic()
        due = [do for at, do in self.later if at <= now]
        self.later = [(at, do) for at, do in self.later if at > now]
        for do in due:
            do()

    def unseen(self, cid: str) -> bool:
        return time.monotonic() - self.born.get(cid, float("-inf")) < self.unseen_s


WORLD = World()
_run, _get, _all = EC2Backend.run_instances, EC2Backend.get_instance, EC2Backend.all_reservations
_attach, _detach = EC2Backend.attach_volume, EC2Backend.detach_volume
_modify, _delete_snapshot = EC2Backend.modify_volume, EC2Backend.delete_snapshot
_reboot = EC2Backend.reboot_instances
_associate, _create_route = EC2Backend.associate_address, EC2Backend.create_route
_terminate = Instance.terminate
_register_image = AmisResponse.register_image
_create_volume = ElasticBlockStore.create_volume
_EC2S_NAMES = {"pending": 0, "running": 16, "shutting-down": 32}


def refuse(code: str, message: str) -> EC2ClientError:
    return EC2ClientError(code, message)


def install() -> None:
    """Change moto, in this process."""
    EC2Backend.run_instances = run_instances
    EC2Backend.get_instance = get_instance
    EC2Backend.all_reservations = all_reservations
    EC2Backend.attach_volume = attach_volume
    EC2Backend.detach_volume = detach_volume
    EC2Backend.modify_volume = modify_volume
    EC2Backend.delete_snapshot = delete_snapshot
    EC2Backend.reboot_instances = reboot_instances
    EC2Backend.associate_address = associate_address
    EC2Backend.create_route = create_route
    AmisResponse.register_image = register_image
    Instance.terminate = terminate
    Subnet.request_ip = request_ip
    ElasticBlockStore.create_volume = create_volume
    VolumeModification.modification_state = property(modification_state)
    Volume.status = property(volume_status)


def _state(instance: Instance, name: str) -> None:
    instance._state = InstanceState(name, _EC2S_NAMES[name])


def run_instances(self, image_id, count, user_data, security_group_names, **kwargs):
    token = kwargs.get("client_token")
    asked = repr((image_id, count, user_data, security_group_names, kwargs))
    if token not in (None, "ABCDE") and token in WORLD.tokens:
        before, reservation = WORLD.tokens[token]
        if before != asked:
            raise refuse("IdempotentParameterMismatch", "the token was used with other parameters")
        if reservation.instances[0].state in ("shutting-down", "terminated"):
            raise refuse("IdempotentInstanceTerminated", "the token's instance was terminated")
        return reservation
    if image_id not in self.amis:
        raise refuse("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    WORLD.inside = True
    try:
        made = _run(self, image_id, count, user_data, security_group_names, **kwargs)
    finally:
        WORLD.inside = False
    for instance in made.instances:
        WORLD.born[instance.id] = time.monotonic()
        if WORLD.doomed > 0:
            WORLD.doomed -= 1
            _state(instance, "pending")
            WORLD.after(lambda one=instance: _fail_to_start(one))
        elif WORLD.delay_s > 0:
            _state(instance, "pending")
            WORLD.after(lambda one=instance: one.state == "pending" and _state(one, "running"))
    if token not in (None, "ABCDE"):
        WORLD.tokens[token] = (asked, made)
    return made


def _fail_to_start(instance):
    instance.terminate()
    instance.state_reason = StateReason(
        "Client.VolumeLimitExceeded: Volume limit exceeded", "Client.VolumeLimitExceeded"
    )


def get_instance(self, instance_id):
    if WORLD.unseen(instance_id):
        raise InvalidInstanceIdError(instance_id)
    return _get(self, instance_id)


def all_reservations(self, filters=None):
    found = _all(self, filters)
    return [one for one in found if not any(WORLD.unseen(i.id) for i in one.instances)]


def terminate(self):
    before = InstanceState(self._state.name, self._state.code)
    if before.name in ("shutting-down", "terminated"):
        return before
    _state(self, "shutting-down")

    def end() -> None:
        for address in list(self.ec2_backend.addresses):
            if address.instance is self or address.eni in self.nics.values():
                self.ec2_backend.disassociate_address(address=address.public_ip)
        ips = [(card.subnet, card.private_ip_address) for card in self.nics.values()]
        WORLD.inside = True
        try:
            _terminate(self)
        finally:
            WORLD.inside = False
        for subnet, ip in ips:
            subnet.del_subnet_ip(ip)

    WORLD.after(end, WORLD.ends_s)
    return before


def reboot_instances(self, instance_ids):
    for instance in self.get_multi_instances_by_id(instance_ids):
        if instance.state not in ("pending", "running"):
            raise refuse("IncorrectInstanceState", f"'{instance.id}' cannot be rebooted")
    return _reboot(self, instance_ids)


def request_ip(self, ip, instance):
    if ip_address(ip) not in self.cidr:
        raise refuse("InvalidParameterValue", f"Address {ip} is not within the subnet's range")
    if ip in self._subnet_ips:
        raise refuse("InvalidIPAddress.InUse", f"Address {ip} is in use.")
    self._unused_ips.discard(ip)
    self._subnet_ips[ip] = instance


def associate_address(self, instance=None, eni=None, *others, **more):
    # EC2 tells the instance of an interface too.
    held = _associate(self, instance, eni, *others, **more)
    held.instance = instance or (eni.instance if eni else None)
    return held


def create_route(self, route_table_id, destination_cidr_block=None, *others, **more):
    routes = self.get_route_table(route_table_id).routes
    if destination_cidr_block in [route.destination_cidr_block for route in routes]:
        raise refuse("RouteAlreadyExists", f"{destination_cidr_block} is in {route_table_id}")
    return _create_route(self, route_table_id, destination_cidr_block, *others, **more)


def register_image(self):
    """Make the image of the snapshot it is asked for; moto makes an empty one of its own."""
    ec2, name = self.ec2_backend, self._get_param("Name")
    if any(image.name == name for image in ec2.amis.values()):
        raise refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
    root = self._get_param("BlockDeviceMappings")[0]
    snapshot = ec2.get_snapshot(root["Ebs"]["SnapshotId"])
    made = _register_image(self)
    image = ec2.amis[made.result["ImageId"]]
    del ec2.snapshots[image.ebs_snapshot.id]
    image.ebs_snapshot, image.root_device_name = snapshot, root["DeviceName"]
    return made


def create_volume(self):
    token = self._get_param("ClientToken")
    if token in WORLD.tokens:
        return ActionResult(WORLD.tokens[token][1])
    made = _create_volume(self)
    volume = made.result
    if token:
        WORLD.tokens[token] = (None, volume)
    volume.ready_at = time.monotonic() + WORLD.delay_s
    return made


def volume_status(self):
    if self.attachment:
        return "in-use"
    return "creating" if getattr(self, "ready_at", 0) > time.monotonic() else "available"


def attach_volume(self, volume_id, instance_id, device_path, delete_on_termination=False):
    if WORLD.inside:
        return _attach(self, volume_id, instance_id, device_path, delete_on_termination)
    volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
    if volume.attachment:
        raise refuse("VolumeInUse", f"{volume_id} is already attached to an instance")
    if volume.status != "available":
        raise refuse("IncorrectState", f"{volume_id} is not 'available'.")
    if instance.state not in ("running", "stopped"):
        raise refuse("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
    if volume.zone.name != instance.placement.zone:
        raise refuse("InvalidVolume.ZoneMismatch", "the volume is in another zone")
    if device_path in instance.block_device_mapping:
        raise refuse("InvalidParameterValue", f"Attachment point {device_path} is already in use")
    held = _attach(self, volume_id, instance_id, device_path, delete_on_termination)
    if WORLD.delay_s > 0:
        held.status = "attaching"

    def attached() -> None:
        held.status = "attached"

    WORLD.after(attached)
    return held


def detach_volume(self, volume_id, instance_id, device_path):
    if WORLD.inside:
        return _detach(self, volume_id, instance_id, device_path)
    volume = self.get_volume(volume_id)
    held = volume.attachment
    if held is None:
        raise refuse("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
    if instance_id and held.instance.id != instance_id:
        raise refuse("InvalidAttachment.NotFound", f"'{volume_id}' is not attached there")
    if held.status == "detaching":
        raise refuse("IncorrectState", f"Volume '{volume_id}' is detaching")
    held.status = "detaching"

    def gone() -> None:
        if volume.attachment is held:
            _detach(self, volume_id, held.instance.id, held.device)

    WORLD.after(gone)
    return held


def modify_volume(self, volume_id, target_size=None, *others):
    volume = self.get_volume(volume_id)
    if target_size is not None and int(target_size) < volume.size:
        raise refuse("InvalidParameterValue", "New size cannot be smaller than existing size")
    if volume.modifications:
        raise refuse("VolumeModificationRateExceeded", "Wait at least 6 hours between changes")
    done = _modify(self, volume_id, target_size, *others)
    volume.modifications[-1].ready_at = time.monotonic() + WORLD.delay_s
    return done


def modification_state(self):
    return "modifying" if getattr(self, "ready_at", 0) > time.monotonic() else "optimizing"


def delete_snapshot(self, snapshot_id):
    for image in self.amis.values():
        if getattr(image, "ebs_snapshot", None) and image.ebs_snapshot.id == snapshot_id:
            raise refuse("InvalidSnapshot.InUse", f"{snapshot_id} is in use by {image.id}")
    return _delete_snapshot(self, snapshot_id)
