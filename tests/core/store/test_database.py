"""The catalog's file: made once, never by an older program than its own."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.errors import StoreError, StoreVersionError
from core.store.catalog import Catalog
from core.store.database import CATALOG_FILE, SCHEMA_VERSION, Database
from tests.shop import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def _content(folder: Path) -> dict[str, str]:
    return {
        name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in os.listdir(folder)
    }


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Catalog(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = _content(tmp_path)
    with pytest.raises(StoreVersionError, match="LOOKALIKE_STORE_DIR"):
        Catalog(tmp_path)
    assert _content(tmp_path) == before


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\1" * 99]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CATALOG_FILE).write_bytes(content)
    with pytest.raises(StoreError, match=r"catalog\.db"):
        Catalog(tmp_path)
    assert (tmp_path / CATALOG_FILE).read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as connection:
        connection.execute("CREATE TABLE items (id)")
    with pytest.raises(StoreError, match="already exists"):
        Catalog(tmp_path)


def test_a_store_that_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="LOOKALIKE_STORE_DIR"):
        Catalog(tmp_path / "file" / "store")


def test_many_processes_may_make_the_store_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from core.store.catalog import Catalog\n"
        "sys.stdin.readline()\n"
        "c = Catalog(Path(sys.argv[1])); c.set_note(sys.argv[2], 1); print(c.generation())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "store"), str(number)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30) for process in processes]
    assert [answer[0] for answer in answers] == ["0\n"] * 6, answers
    with closing(Catalog(tmp_path / "store")) as catalog:
        assert [catalog.get_note(str(number)) for number in range(6)] == [1] * 6


def _insert_half(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 1)")
        raise ZeroDivisionError


def test_what_fails_halfway_is_undone(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db")) as database:
        with pytest.raises(ZeroDivisionError):
            _insert_half(database)
        with database.reading() as connection:
            found = connection.execute("SELECT count(*) FROM meta WHERE key = 'a'").fetchone()
            assert found[0] == 0


def test_a_mistake_of_the_program_is_not_taken_for_a_broken_store(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db")) as database:
        with pytest.raises(sqlite3.IntegrityError), database.writing() as connection:
            connection.execute("INSERT INTO meta VALUES ('generation', 1)")
        with database.writing() as connection:
            connection.execute("INSERT INTO meta VALUES ('a', 1)")


def test_a_reader_sees_one_state_while_another_writes(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db")) as one, closing(Database(tmp_path / "db")) as other:
        count = "SELECT count(*) FROM meta"
        with one.reading() as reading:
            before = reading.execute(count).fetchone()[0]
            with other.writing() as writing:
                writing.execute("INSERT INTO meta VALUES ('a', 1)")
            assert reading.execute(count).fetchone()[0] == before
        with one.reading() as reading:
            assert reading.execute(count).fetchone()[0] == before + 1


def test_one_connection_may_be_shared_by_threads(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path)) as catalog:

        def work(name: str) -> None:
            for number in range(50):
                catalog.set_note(f"{name}{number}", number)
                assert catalog.get_note(f"{name}{number}") == number

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with catalog.database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 202


def test_the_generation_is_no_ordinary_note(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path)) as catalog, pytest.raises(StoreError, match="not for setting"):
        catalog.set_note("generation", 9)


def test_commits_survive_power_loss_by_configuration(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db")) as database, database.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_full_disk_is_a_store_error_and_undoes_the_step(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db")) as database:
        with database.writing() as connection:
            connection.execute("CREATE TABLE filler (data)")
        with database.reading() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="full"), database.writing() as connection:
            connection.execute("INSERT INTO filler VALUES (zeroblob(100000))")
        with database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM filler").fetchone()[0] == 0
