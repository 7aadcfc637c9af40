"""Many threads and several processes on one database file: nothing is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text, update

from director.model.errors import NetworkError, NotSupported
from director.model.ids import InstanceId
from director.model.instances import RecordedInstance
from director.model.records import AddressRecord
from director.store.database import Database, open_database
from director.store.store import Store, open_store
from director.store.tables import attributes, metadata


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(url(tmp_path), tmp_path / "tasks")
    yield opened
    opened.close()


def url(home: Path) -> str:
    return f"sqlite:///{home}/d.db"


def count_up(database: Database, times: int) -> None:
    row = attributes.c.name == "count"
    for _ in range(times):
        with database.write() as connection:
            old = connection.execute(select(attributes.c.value).where(row)).scalar_one()
            connection.execute(update(attributes).where(row).values(value=str(int(old) + 1)))


def begin_count(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(attributes).values(name="count", value="0"))


def counted(database: Database) -> int:
    with database.read() as connection:
        query = select(attributes.c.value).where(attributes.c.name == "count")
        return int(connection.execute(query).scalar_one())


def test_threads_that_read_then_write_lose_no_update(store: Store) -> None:
    begin_count(store.database)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(count_up, store.database, 100) for _ in range(8)]:
            done.result()
    assert counted(store.database) == 800


COUNT = """
import sys
from sqlalchemy import select, update
from director.store.database import open_database
from director.store.tables import attributes

row = attributes.c.name == "count"
database = open_database(sys.argv[1])
for _ in range(100):
    with database.write() as connection:
        old = connection.execute(select(attributes.c.value).where(row)).scalar_one()
        connection.execute(update(attributes).where(row).values(value=str(int(old) + 1)))
"""


def test_processes_that_read_then_write_lose_no_update(store: Store, tmp_path: Path) -> None:
    begin_count(store.database)
    command = [sys.executable, "-c", COUNT, url(tmp_path)]
    others = [subprocess.Popen(command) for _ in range(2)]
    count_up(store.database, 100)
    assert [other.wait(60) for other in others] == [0, 0]
    assert counted(store.database) == 300


def test_one_of_many_gets_an_address_a_lock_and_a_task(store: Store) -> None:
    store.tasks.create(type="vms", description="", owner="me", now=0.0)
    barrier = threading.Barrier(8)

    def grab(n: int) -> tuple[bool, bool, bool]:
        barrier.wait(10)
        record = AddressRecord(
            network="a", ip="10.0.0.2", deployment="cf", instance_id=InstanceId(str(n))
        )
        try:
            store.addresses.reserve([record])
            address = True
        except NetworkError:
            address = False
        lock = store.locks.acquire("lock:deployment:cf", n, "me", 30.0, 0.0)
        return address, lock, store.tasks.claim("me", 1.0) is not None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(grab, range(8)))
    assert [sum(column) for column in zip(*results, strict=True)] == [1, 1, 1]


def test_a_reader_is_not_held_up_by_a_writer(store: Store) -> None:
    store.deployments.ensure("cf")
    with store.database.write() as connection:
        connection.execute(text("DELETE FROM deployments"))
        assert [d.name for d in store.deployments.list()] == ["cf"]
    assert store.deployments.list() == []


def test_a_failed_write_leaves_nothing_and_frees_the_lock(store: Store) -> None:
    def fail() -> None:
        with store.database.write() as connection:
            connection.execute(insert(attributes).values(name="x", value="y"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.attributes.ensure("x", "z") == "z"


def test_lines_of_many_threads_do_not_mix(store: Store) -> None:
    lines = [f"{n}:{'x' * 5000}\n" for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: store.outputs.append(1, "event", line), lines))
    assert sorted(store.outputs.read(1, "event").decode().splitlines(True)) == sorted(lines)


def test_a_new_home_is_opened_by_several_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(url(tmp_path)), range(4)))
    for database in opened:
        database.close()
    assert (tmp_path / "d.db").stat().st_mode & 0o777 == 0o600


def test_migrations_make_the_tables_the_code_expects(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_of_a_newer_director_is_refused(tmp_path: Path) -> None:
    database = open_database(url(tmp_path))
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(NotSupported, match="newer director"):
        open_database(url(tmp_path))


def test_ten_thousand_instances_are_kept_and_read(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save_many(
        RecordedInstance(id=InstanceId(f"i-{n}"), deployment="cf", group="g", index=n)
        for n in range(10_000)
    )
    store.instances.save_many(store.instances.list("cf")[:5000])
    assert [i.index for i in store.instances.list("cf")] == list(range(10_000))
