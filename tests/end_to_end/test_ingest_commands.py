"""`lookalike-ingest` as its users run it: a process of its own, judged by what it prints."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.records import RunOptions
from core.store.database import CATALOG_FILE
from core.store.segments import segment_path
from ingest.daemon import DAEMON_NOTE
from ingest.lock import LOCK_FILE, IngestLock
from tests.processes import alive, ended, family, kill, wait_for

if TYPE_CHECKING:
    import subprocess

    from core.records import Run
    from tests.shop import Shop

DONE, FAILED, USAGE, BUSY, REFUSED = range(5)


def _latest(shop: Shop) -> Run | None:
    if not (shop.store / CATALOG_FILE).exists():
        return None
    with shop.catalog() as catalog:
        runs, _ = catalog.runs.latest(1)
    return runs[0] if runs else None


def test_a_run_prints_a_table_and_each_failure_and_exits_0(shop: Shop) -> None:
    shop.photos(3)
    shop.write("bad\n.jpg", "no picture")
    done = shop.cli("run")
    assert done.returncode == DONE, done.stderr
    for shown in ("files seen", "new", "embedded", "Successfully processed 3 new images"):
        assert shown in done.stdout
    assert "not_an_image" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    shop.assert_in_step()


def test_a_run_for_scripts_prints_json_only(shop: Shop) -> None:
    shop.photos(2)
    done = shop.cli("run", "--json", "--batch-size", "1")
    report = json.loads(done.stdout)
    assert (report["state"], report["new_images"], report["embedded"]) == ("succeeded", 2, 2)
    assert report["options"]["batch_size"] == 1
    assert report["trigger"] == "cli"
    report = json.loads(shop.cli("run", "--json", "--force-full").stdout)
    assert (report["new_images"], report["embedded"]) == (0, 2)


def test_status_tells_what_there_is(shop: Shop) -> None:
    assert json.loads(shop.cli("status", "--json").stdout)["model"] is None
    shop.photos(2)
    shop.ingest()
    found = json.loads(shop.cli("status", "--json").stdout)
    assert found["items"] == {"indexed": 2, "failed": 0, "missing": 0}
    assert found["model"] == "classic"
    assert found["runs"][0]["state"] == "succeeded"
    assert "classic" in shop.cli("status").stdout


def test_verify_exits_0_on_what_is_sound_and_1_naming_what_is_not(shop: Shop) -> None:
    done = shop.cli("verify")
    assert (done.returncode, "sound" in done.stdout) == (DONE, True)
    shop.photos(2)
    shop.ingest()
    assert json.loads(shop.cli("verify", "--json").stdout)["sound"] is True
    path = segment_path(shop.store, 1)
    path.write_bytes(path.read_bytes()[:-1])
    done = shop.cli("verify")
    assert done.returncode == FAILED
    assert str(path) in done.stderr
    report = json.loads(shop.cli("verify", "--json").stdout)
    assert report["sound"] is False
    assert shop.cli("run").returncode == DONE
    assert shop.cli("verify").returncode == DONE


def test_a_refused_mass_removal_exits_4_and_names_the_flag(shop: Shop) -> None:
    for number in range(60):
        shop.photo(f"{number}.png", seed=number % 2)
    shop.ingest()
    shutil.rmtree(shop.images)
    shop.images.mkdir()
    done = shop.cli("run")
    assert done.returncode == REFUSED
    assert "--allow-mass-removal" in " ".join(done.stdout.split())
    assert shop.cli("run", "--allow-mass-removal").returncode == DONE


def test_a_missing_folder_exits_1_and_names_the_setting(shop: Shop) -> None:
    shutil.rmtree(shop.images)
    done = shop.cli("run")
    assert done.returncode == FAILED
    assert "LOOKALIKE_IMAGE_DIR" in done.stdout
    done = shop.cli("watch")
    assert done.returncode == FAILED
    assert "LOOKALIKE_IMAGE_DIR" in done.stderr


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"batch_size": 0}, USAGE, "LOOKALIKE_BATCH_SIZE"),
        ({"model": "nonsense"}, FAILED, "LOOKALIKE_MODEL"),
        ({"model_weights": "/no/such/file.pt"}, FAILED, "LOOKALIKE_MODEL_WEIGHTS"),
        ({"store_dir": "/proc/no-such"}, FAILED, "LOOKALIKE_STORE_DIR"),
    ],
)
def test_what_cannot_work_is_a_sentence_that_names_the_setting(
    shop: Shop, settings: dict[str, object], code: int, said: str
) -> None:
    shop.photos(1)
    done = shop.cli("run", **settings)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_wrong_usage_exits_2(shop: Shop) -> None:
    assert shop.cli("run", "--no-such-option").returncode == USAGE
    assert shop.cli("run", "--batch-size", "0").returncode == USAGE
    assert shop.cli("no-such-command").returncode == USAGE
    assert shop.cli("--help").returncode == DONE


def test_a_store_of_a_newer_version_is_refused_and_left_alone(shop: Shop) -> None:
    shop.photos(1)
    shop.ingest()
    with closing(sqlite3.connect(shop.store / CATALOG_FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (shop.store / CATALOG_FILE).read_bytes()
    for command in ("run", "verify", "status"):
        done = shop.cli(command)
        assert done.returncode == FAILED
        assert "format 99" in done.stderr
        assert "Traceback" not in done.stderr
    assert (shop.store / CATALOG_FILE).read_bytes() == before


def test_a_damaged_catalog_is_a_sentence(shop: Shop) -> None:
    shop.photos(1)
    shop.ingest()
    (shop.store / CATALOG_FILE).write_bytes(b"garbage" * 1000)
    for command in ("run", "verify", "status", "daemon"):
        done = shop.cli(command)
        assert done.returncode == FAILED
        assert CATALOG_FILE in done.stderr
        assert "Traceback" not in done.stderr


def test_a_second_ingester_is_busy_and_exits_3(shop: Shop) -> None:
    shop.photos(1)
    with IngestLock(shop.store):
        begun = time.monotonic()
        done = shop.cli("run")
        assert done.returncode == BUSY
        assert "busy" in done.stderr
        assert time.monotonic() - begun < 15
    assert shop.cli("run").returncode == DONE
    assert (shop.store / LOCK_FILE).exists()


def _begin_long_run(shop: Shop, count: int = 400, **settings: object) -> subprocess.Popen[str]:
    """Start a run that has embedded some photos and has many to go."""
    shop.photos(count)
    process = shop.start("run", batch_size=2, commit_every_images=5, **settings)

    def has_begun() -> bool:
        run = _latest(shop)
        return run is not None and run.counters.embedded > 10  # and so has committed some

    wait_for(has_begun)
    return process


def test_a_killed_run_costs_only_what_it_had_not_committed(shop: Shop) -> None:
    with ended(_begin_long_run(shop)) as process:
        members = family(process)
        assert len(members) > 1
        kill(process)
        wait_for(lambda: not alive(members), seconds=5)
    lost = _latest(shop)
    assert lost is not None
    assert lost.state == "running"
    assert shop.cli("verify").returncode == DONE
    kept = len(shop.items())
    assert 0 < kept < 400
    report = json.loads(shop.cli("run", "--json").stdout)
    assert report["embedded"] == 400 - kept
    with shop.catalog() as catalog:
        found = catalog.runs.get(lost.id)
    assert found is not None
    assert found.state == "interrupted"
    assert found.finished_at is not None
    shop.assert_in_step()


def test_a_run_told_to_end_commits_and_leaves(shop: Shop) -> None:
    with ended(_begin_long_run(shop)) as process:
        members = family(process)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
        assert process.returncode == FAILED
        assert "Traceback" not in output
        wait_for(lambda: not alive(members), seconds=5)
    run = _latest(shop)
    assert run is not None
    assert run.state == "interrupted"
    assert len(shop.items()) == run.counters.new
    # What is left of the last batch of two is not taken any more.
    assert run.counters.embedded - run.counters.new < 2
    shop.assert_sound()


def test_a_run_refuses_others_while_it_works(shop: Shop) -> None:
    with ended(_begin_long_run(shop, 600)) as process:
        assert shop.cli("run").returncode == BUSY
        assert process.poll() is None


def test_the_daemon_works_on_what_is_asked_for_and_says_that_it_lives(shop: Shop) -> None:
    shop.photos(2)
    with ended(shop.start("daemon")) as process:
        wait_for(lambda: _note(shop))
        facts = json.loads(_note(shop))
        assert facts["pid"] == process.pid
        assert abs(facts["heartbeat_at"] - time.time()) < 10
        with shop.catalog() as catalog:
            run = catalog.runs.queue(RunOptions(), "api")
        done = wait_for(lambda: _finished(shop, run.id))
        assert (done.state, done.counters.new) == ("succeeded", 2)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
        assert process.returncode == 0, output
    assert _note(shop) == ""
    assert "Run begins." in output
    shop.assert_in_step()


def _note(shop: Shop) -> str:
    if not (shop.store / CATALOG_FILE).exists():
        return ""
    with shop.catalog() as catalog:
        return str(catalog.get_note(DAEMON_NOTE) or "")


def _finished(shop: Shop, run_id: int) -> Run | None:
    with shop.catalog() as catalog:
        run = catalog.runs.get(run_id)
    return run if run is not None and run.state.finished else None


def test_the_daemon_closes_the_row_of_a_run_that_was_killed(shop: Shop) -> None:
    with ended(shop.start("daemon")), ended(_begin_long_run(shop)) as run:
        kill(run)
        lost = _latest(shop)
        assert lost is not None
        done = wait_for(lambda: _finished(shop, lost.id), seconds=10)
        assert done.state == "interrupted"


def test_the_daemon_ends_in_the_middle_of_a_run_when_told_to(shop: Shop) -> None:
    shop.photos(400)
    with ended(shop.start("daemon", batch_size=2)) as process:
        wait_for(lambda: _note(shop))
        with shop.catalog() as catalog:
            run = catalog.runs.queue(RunOptions(), "api")
        wait_for(lambda: (_latest(shop) or run).counters.embedded)
        members = family(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
        assert process.returncode == 0
        wait_for(lambda: not alive(members), seconds=5)
    found = _finished(shop, run.id)
    assert found is not None
    assert found.state == "interrupted"
    shop.assert_sound()


@pytest.mark.slow
def test_a_schedule_finds_a_new_photo_within_a_minute(shop: Shop) -> None:
    shop.photos(1)
    with ended(shop.start("daemon", schedule="* * * * *")):
        facts = wait_for(lambda: _note(shop) and json.loads(_note(shop)))
        assert facts["schedule"] == "* * * * *"
        assert 0 <= facts["next_run_at"] - time.time() <= 61
        wait_for(lambda: len(shop.items()) == 1, seconds=65)
        run = _latest(shop)
        assert run is not None
        assert run.trigger == "schedule"


def test_watching_follows_the_folder(shop: Shop) -> None:
    shop.photo("first.png", seed=1)
    with ended(shop.start("watch", "--debounce-s", "0.1")) as process:
        wait_for(lambda: _latest(shop) and set(shop.states()) == {"first.png"})
        shop.photo("new/second.png", seed=2)
        wait_for(lambda: "new/second.png" in shop.states())
        (shop.images / "first.png").unlink()
        wait_for(lambda: shop.states()["first.png"] == "missing")
        (shop.images / "new").rename(shop.images / "newer")
        wait_for(lambda: "newer/second.png" in shop.states())
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
        assert process.returncode == 0
    assert output.count("succeeded") >= 4
    shop.assert_in_step()


def test_watching_waits_for_another_ingester(shop: Shop) -> None:
    shop.photos(1)
    with IngestLock(shop.store) as lock, ended(shop.start("watch", "--debounce-s", "0.1")):
        time.sleep(1.5)
        assert _latest(shop) is None
        lock.release()
        wait_for(lambda: len(shop.items()) == 1)


def test_the_lock_dies_with_its_holder_though_its_workers_live(shop: Shop) -> None:
    with ended(_begin_long_run(shop)) as process:
        kill(process)
        with IngestLock(shop.store):
            pass
