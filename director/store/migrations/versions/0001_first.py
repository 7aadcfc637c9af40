"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "addresses",
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("network", "ip"),
    )
    op.create_index("addresses_instance", "addresses", ["instance_id"], unique=False)
    op.create_table(
        "attributes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "compiled_packages",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("stemcell_os", sa.String(), nullable=False),
        sa.Column("stemcell_version", sa.String(), nullable=False),
        sa.Column("dependency_key", sa.Text(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint(
            "name", "fingerprint", "stemcell_os", "stemcell_version", "dependency_key"
        ),
    )
    op.create_table(
        "configs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("configs_type_name", "configs", ["type", "name"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=True),
        sa.Column("cloud_config_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("releases", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("stemcells", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "errand_runs",
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("errand", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "errand"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("timestamp", sa.Float(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_type", sa.String(), nullable=False),
        sa.Column("object_name", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=True),
        sa.Column("deployment", sa.String(), nullable=True),
        sa.Column("instance", sa.String(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("context", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_timestamp", "events", ["timestamp"], unique=False)
    op.create_table(
        "locks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "plans",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("commit_hash", sa.String(), nullable=False),
        sa.Column("uncommitted_changes", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "version", name="releases_name_version"),
    )
    op.create_table(
        "stemcells",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("operating_system", sa.String(), nullable=False),
        sa.Column("cid", sa.String(), nullable=False),
        sa.Column("cpi", sa.String(), nullable=False),
        sa.Column("api_version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "version", "cpi", name="stemcells_name_version_cpi"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=True),
        sa.Column("context_id", sa.String(), nullable=False),
        sa.Column("args", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("heartbeat_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("tasks_state", "tasks", ["state"], unique=False)
    op.create_table(
        "variables",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("variables_deployment", "variables", ["deployment"], unique=False)
    op.create_index("variables_name", "variables", ["name"], unique=False)
    op.create_table(
        "instances",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("az", sa.String(), nullable=True),
        sa.Column("bootstrap", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ignore", sa.Boolean(), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment"],
            ["deployments.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("instances_deployment", "instances", ["deployment"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("blob", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("release_id", "name", name="jobs_release_name"),
    )
    op.create_index("jobs_fingerprint", "jobs", ["fingerprint"], unique=False)
    op.create_table(
        "packages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("dependencies", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("blob", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("release_id", "name", name="packages_release_name"),
    )
    op.create_index("packages_fingerprint", "packages", ["fingerprint"], unique=False)
    op.create_table(
        "disks",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("cid", sa.String(), nullable=True),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=True),
        sa.Column("instance_name", sa.String(), nullable=False),
        sa.Column("size_mb", sa.Integer(), nullable=False),
        sa.Column("az", sa.String(), nullable=True),
        sa.Column("cpi", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("cloud_properties", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("orphaned_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instances.id"],
        ),
        sa.PrimaryKeyConstraint("token"),
        sa.UniqueConstraint("cid"),
    )
    op.create_index("disks_deployment", "disks", ["deployment"], unique=False)
    op.create_index(
        "disks_one_active",
        "disks",
        ["instance_id"],
        unique=True,
        sqlite_where=sa.text("active"),
    )
    op.create_table(
        "vms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("cid", sa.String(), nullable=True),
        sa.Column("instance_id", sa.String(), nullable=True),
        sa.Column("cpi", sa.String(), nullable=False),
        sa.Column("stemcell", sa.String(), nullable=False),
        sa.Column("host_public_key", sa.Text(), nullable=False),
        sa.Column("networks", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment"],
            ["deployments.name"],
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instances.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent_id"),
    )
    op.create_index("vms_deployment", "vms", ["deployment"], unique=False)
    op.create_index("vms_instance", "vms", ["instance_id"], unique=False)
