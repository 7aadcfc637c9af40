"""Who logs in to a VM: root, or vcap where a cloud takes no host key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; all VMs there are let root in."""
    op.add_column(
        "vms", sa.Column("login_user", sa.String(), nullable=False, server_default="root")
    )


def downgrade() -> None:
    """Take the column away."""
    with op.batch_alter_table("vms") as batch:
        batch.drop_column("login_user")
