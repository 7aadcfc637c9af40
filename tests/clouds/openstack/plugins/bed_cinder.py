"""A backend for Cinder that stores nothing: every operation on data succeeds."""

from cinder.volume import driver

_ROOM = {
    "total_capacity_gb": 100000,
    "free_capacity_gb": 100000,
    "allocated_capacity_gb": 0,
    "reserved_percentage": 0,
    "multiattach": True,
    "thin_provisioning_support": False,
}


class KeepsBooks(driver.VolumeDriver):
    VERSION = "1"

    def check_for_setup_error(self):
        """There is nothing to set up."""

    def get_volume_stats(self, refresh=False):
        return {
            "volume_backend_name": "bed",
            "vendor_name": "director",
            "driver_version": "1",
            "storage_protocol": "iscsi",
            "pools": [{"pool_name": "bed", **_ROOM}],
            **_ROOM,
        }

    def initialize_connection(self, volume, connector, **_):
        return {
            "driver_volume_type": "fake",
            "data": {"volume_id": volume.id, "access_mode": "rw"},
        }

    def clone_image(self, *_, **__):
        return {}, True

    def retype(self, *_, **__):
        return True

    def _nothing(self, *_, **__):
        return None

    create_volume = delete_volume = create_cloned_volume = create_volume_from_snapshot = _nothing
    create_snapshot = delete_snapshot = extend_volume = terminate_connection = _nothing
    ensure_export = create_export = remove_export = _nothing
    copy_image_to_volume = copy_volume_to_image = _nothing
