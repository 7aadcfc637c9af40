"""Every table. A change here needs a migration and a new :data:`HEAD`; a test compares the two.

Times are seconds since the epoch. What belongs to one row only and is never searched stands in a
JSON column. Whatever an operator wrote, and so may hold a password, is in a sealed column.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from director.store.sealing import SealedJson, SealedText

HEAD = "0002"
"""The newest migration: a database that shows it needs none."""

metadata = MetaData()

_json = JSON(none_as_null=True)

attributes = Table(
    "attributes",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("name", String, primary_key=True),
    Column("manifest", SealedText),
    Column("cloud_config_ids", _json, nullable=False),
    Column("releases", _json, nullable=False),
    Column("stemcells", _json, nullable=False),
    Column("created_at", Float, nullable=False),
)

configs = Table(
    "configs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("content", SealedText, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Index("configs_type_name", "type", "name"),
    sqlite_autoincrement=True,
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("commit_hash", String, nullable=False),
    Column("uncommitted_changes", Boolean, nullable=False),
    UniqueConstraint("name", "version", name="releases_name_version"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release_id", Integer, ForeignKey("releases.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("spec", _json, nullable=False),
    Column("blob", String),
    Column("digest", String, nullable=False),
    UniqueConstraint("release_id", "name", name="jobs_release_name"),
    Index("jobs_fingerprint", "fingerprint"),
)

packages = Table(
    "packages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release_id", Integer, ForeignKey("releases.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("dependencies", _json, nullable=False),
    Column("blob", String),
    Column("digest", String, nullable=False),
    UniqueConstraint("release_id", "name", name="packages_release_name"),
    Index("packages_fingerprint", "fingerprint"),
)

compiled_packages = Table(
    "compiled_packages",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("stemcell_os", String, primary_key=True),
    Column("stemcell_version", String, primary_key=True),
    Column("dependency_key", Text, primary_key=True),
    Column("blob", String, nullable=False),
    Column("digest", String, nullable=False),
)

stemcells = Table(
    "stemcells",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("operating_system", String, nullable=False),
    Column("cid", String, nullable=False),
    Column("cpi", String, nullable=False),
    Column("api_version", Integer),
    UniqueConstraint("name", "version", "cpi", name="stemcells_name_version_cpi"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", String, primary_key=True),
    Column("deployment", String, ForeignKey("deployments.name"), nullable=False),
    Column("group", String, nullable=False),
    Column("index", Integer, nullable=False),
    Column("az", String),
    Column("bootstrap", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("ignore", Boolean, nullable=False),
    Column("dirty", Boolean, nullable=False),
    Column("spec", SealedJson),
    Index("instances_deployment", "deployment"),
)

vms = Table(
    "vms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent_id", String, nullable=False, unique=True),
    Column("deployment", String, ForeignKey("deployments.name"), nullable=False),
    Column("cid", String),
    Column("instance_id", String, ForeignKey("instances.id")),
    Column("cpi", String, nullable=False),
    Column("stemcell", String, nullable=False),
    Column("host_public_key", Text, nullable=False),
    Column("login_user", String, nullable=False, server_default="root"),
    Column("networks", SealedJson, nullable=False),
    Column("created_at", Float),
    Index("vms_deployment", "deployment"),
    Index("vms_instance", "instance_id"),
)

disks = Table(
    "disks",
    metadata,
    Column("token", String, primary_key=True),
    Column("cid", String, unique=True),
    # Not a foreign key: an orphaned disk outlives its deployment.
    Column("deployment", String, nullable=False),
    Column("instance_id", String, ForeignKey("instances.id")),
    Column("instance_name", String, nullable=False),
    Column("size_mb", Integer, nullable=False),
    Column("az", String),
    Column("cpi", String, nullable=False),
    Column("type", String, nullable=False),
    Column("cloud_properties", SealedJson, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("orphaned_at", Float),
    Index("disks_deployment", "deployment"),
)
Index(
    "disks_one_active",
    disks.c.instance_id,
    unique=True,
    sqlite_where=disks.c.active,
)

addresses = Table(
    "addresses",
    metadata,
    Column("network", String, primary_key=True),
    Column("ip", String, primary_key=True),
    Column("deployment", String, nullable=False),
    Column("instance_id", String),
    Column("owner", String, nullable=False),
    Index("addresses_instance", "instance_id"),
)

variables = Table(
    "variables",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("type", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("options", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("variables_name", "name"),
    Index("variables_deployment", "deployment"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("type", String, nullable=False),
    Column("state", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("user", String, nullable=False),
    Column("deployment", String),
    Column("context_id", String, nullable=False),
    Column("args", SealedJson, nullable=False),
    Column("result", Text),
    Column("queued_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("owner", String, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Index("tasks_state", "state"),
    sqlite_autoincrement=True,
)

locks = Table(
    "locks",
    metadata,
    Column("name", String, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("expires_at", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parent_id", Integer),
    Column("timestamp", Float, nullable=False),
    Column("user", String, nullable=False),
    Column("action", String, nullable=False),
    Column("object_type", String, nullable=False),
    Column("object_name", String, nullable=False),
    Column("task", String),
    Column("deployment", String),
    Column("instance", String),
    Column("error", Text),
    Column("context", _json, nullable=False),
    Index("events_timestamp", "timestamp"),
    sqlite_autoincrement=True,
)

plans = Table(
    "plans",
    metadata,
    Column("task_id", Integer, primary_key=True),
    Column("deployment", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

errand_runs = Table(
    "errand_runs",
    metadata,
    Column("deployment", String, primary_key=True),
    Column("errand", String, primary_key=True),
    Column("digest", String, nullable=False),
)
