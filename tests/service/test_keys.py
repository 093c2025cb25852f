"""Keys: their forms, the file, the commands, and what never shows."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.errors import SettingsError
from core.settings import Settings
from service.guard.key_file import KeyFile, read_keys
from service.guard.key_ring import KeyRing
from service.guard.keys import Key, Scope, new_secret, parse_keys, recognise
from tests.service.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Draw, Server, Shop, WaitFor

SECRET = "correct-horse-battery-staple"


def keys_command(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", "keys", *arguments],
        env={**os.environ, "LOOKALIKE_KEYS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_entry_is_split_at_its_first_two_colons() -> None:
    one, other = parse_keys(f"shop:search:{SECRET}, cron:search+ingest:a:b:c ,")
    assert (one.name, one.scopes) == ("shop", {Scope.SEARCH})
    assert one.fits(SECRET.encode())
    assert (other.name, other.scopes) == ("cron", {Scope.SEARCH, Scope.INGEST})
    assert other.fits(b"a:b:c")


@pytest.mark.parametrize(
    "text",
    ["s3cr3t", "shop:s3cr3t", "shop:s3cr3t:x", "shop::s3cr3t", ":search:s3cr3t", "a:search:"],
)
def test_an_entry_of_another_form_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_keys(f"ok:search:{SECRET},{text}")
    assert "entry 2" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
    assert SECRET not in str(refused.value)


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_only_the_same_bytes_fit(secret: bytes, other: bytes) -> None:
    key = Key.of("k", {Scope.SEARCH}, secret)
    assert key.fits(secret)
    assert key.fits(other) == (other == secret)
    assert secret not in repr(key).encode() or len(secret) < 4


def test_several_keys_of_one_name_are_good_at_once() -> None:
    keys = parse_keys("shop:search:the-old-one,shop:search:the-new-one")
    assert recognise(b"the-old-one", keys)
    assert recognise(b"the-new-one", keys)
    assert not recognise(b"", keys)
    assert not recognise(b"x" * 5000, keys)


def test_a_made_key_is_long_random_and_of_plain_letters() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(one.startswith("lk_") and len(one) > 40 and one.isascii() for one in made)


@pytest.mark.parametrize("secret", ["schlüssel-äöü", "鍵鍵鍵鍵鍵", "ключ"])
def test_a_key_beyond_ascii_is_taken_as_utf8_and_as_latin1(secret: str, tmp_path: Path) -> None:
    settings = Settings.load(api_keys=SecretStr(f"k:search:{secret}"), store_dir=tmp_path)
    ring = KeyRing(settings)
    assert ring.find(secret.encode())
    if secret.startswith("sch"):
        assert ring.find(secret.encode("latin-1"))
    assert ring.find(b"\xff\xfe") is None


def test_the_commands_make_list_and_revoke_keys_that_rest_hashed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = keys_command(path, "create", "shop", "--scope", "search", "--scope", "ingest")
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    (key,) = read_keys(path)
    assert key.fits(secret.encode())
    assert key.scopes == {Scope.SEARCH, Scope.INGEST}
    listed = keys_command(path, "list").stdout
    assert "shop" in listed
    assert "ingest" in listed
    assert secret not in listed
    assert keys_command(path, "create", "shop", "--scope", "search").returncode == 2
    assert keys_command(path, "create", "x", "--scope", "root").returncode == 2
    assert keys_command(path, "revoke", "shop").returncode == 0
    assert keys_command(path, "revoke", "shop").returncode == 2
    assert read_keys(path) == ()


def test_the_commands_say_which_setting_names_the_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "keys", "list"],
        env={k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "LOOKALIKE_KEYS_FILE" in done.stderr


def test_two_writers_lose_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def add(number: int) -> None:
        key = Key.of(f"k{number}", {Scope.SEARCH}, b"secret")
        KeyFile(path).change(lambda before: (*before, key))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(path)} == {f"k{number}" for number in range(12)}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"keys": [1]}',
        '{"keys": [{"name": "a"}]}',
        '{"keys": [{"name": "a", "scopes": ["root"], "salt": "00", "sha256": "00"}]}',
        '{"keys": [{"name": "a", "scopes": [], "salt": "00", "sha256": "' + "00" * 32 + '"}]}',
        "[" * 100_000,
    ],
)
def test_a_keys_file_that_cannot_be_understood_opens_nothing(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with caplog.at_level(logging.ERROR):
        file = KeyFile(path)
        assert file.keys() == ()
        assert file.keys() == ()
    assert len(caplog.records) == 1
    with pytest.raises(SettingsError):
        read_keys(path)


def test_a_keys_file_that_is_lost_does_not_open_the_doors(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing(Settings.load(keys_file=path, store_dir=tmp_path / "s"))
    assert ring.required
    key = Key.of("k", {Scope.SEARCH}, b"secret")
    KeyFile(path).change(lambda _: (key,))
    assert ring.find(b"secret") == key
    path.unlink()
    assert ring.find(b"secret") is None
    assert ring.required


def test_a_key_that_is_revoked_stops_working_without_a_restart(
    shop: Shop, serve: type[Server], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    secret = keys_command(path, "create", "till", "--scope", "search").stdout.strip()
    with serve(shop, "--no-ingest", LOOKALIKE_KEYS_FILE=str(path)) as server:

        def status() -> int:
            headers = {"X-API-Key": secret}
            return requests.get(f"{server.url}/stats", headers=headers, timeout=5).status_code

        assert status() == 200
        second = keys_command(path, "create", "other", "--scope", "search").stdout.strip()
        headers = {"Authorization": f"Bearer {second}"}
        assert requests.get(f"{server.url}/stats", headers=headers, timeout=5).status_code == 200
        keys_command(path, "revoke", "till")
        assert status() == 401
        assert requests.get(f"{server.url}/stats", headers=headers, timeout=5).status_code == 200


def test_keys_show_in_no_log_error_metric_or_process_list(
    shop: Shop, serve: type[Server], wait_for: WaitFor
) -> None:
    secret = "lk_never-to-be-seen-anywhere"
    with serve(
        shop, LOOKALIKE_API_KEYS=f"till:search+ingest:{secret}", LOOKALIKE_LOG_LEVEL="debug"
    ) as server:
        wait_for(lambda: len(server.children()) == 1)
        seen = list[str]()
        for headers in ({"X-API-Key": secret}, {"X-API-Key": f"{secret}x"}):
            for path in ("/stats", "/api/v1/runs/99", "/metrics", "/nowhere", "/openapi.json"):
                answer = requests.get(server.url + path, headers=headers, timeout=5)
                seen += [answer.text, str(answer.headers)]
        requests.post(f"{server.url}/login", data={"key": secret}, timeout=5)
        for process in server.children():
            seen.append(" ".join(process.cmdline()))
            assert "LOOKALIKE_API_KEYS" not in process.environ()
        requests.get(f"{server.url}/stats?key=till", headers={"X-API-Key": secret}, timeout=5)
        server.process.terminate()
        server.process.wait(timeout=20)
    assert server.log
    assert not [text for text in [*seen, *server.log] if secret in text]


def test_unusable_keys_stop_the_start_with_a_sentence(shop: Shop) -> None:
    environment = {
        "LOOKALIKE_STORE_DIR": str(shop.settings.store_dir),
        "LOOKALIKE_API_KEYS": "s3cr3t-without-a-name",
    }
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0", "--no-ingest"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "LOOKALIKE_API_KEYS, entry 1" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


def test_a_wrong_setting_beside_a_key_does_not_show_the_key() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve"],
        env={
            **os.environ,
            "LOOKALIKE_API_KEYS": "k:search:s3cr3t",
            "LOOKALIKE_SESSION_SECRET": "s3cr3t",
            "LOOKALIKE_THRESHOLD": "7",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "LOOKALIKE_THRESHOLD" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_a_short_key_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KeyRing(Settings.load(api_keys=SecretStr("till:search:abc"), store_dir=tmp_path))
    (record,) = caplog.records
    assert "till" in record.getMessage()
    assert "abc" not in record.getMessage()


def test_the_readmes_example_of_keys_works_as_it_stands(
    shop: Shop, serve: type[Server], draw: Draw
) -> None:
    text = (REPOSITORY / "README.md").read_text().partition("## Keys")[2]
    setting = re.search(r"^export LOOKALIKE_API_KEYS='(.*)'$", text, re.MULTILINE)
    asked = re.findall(r"^curl .*", text, re.MULTILINE)
    assert setting
    assert len(asked) == 2
    shop.put("a.jpg", draw(1))
    with serve(shop, LOOKALIKE_API_KEYS=setting[1]) as server:
        for line in asked:
            arguments = shlex.split(line.replace("http://127.0.0.1:8000", server.url))
            done = subprocess.run(
                [*arguments, "-sS"], cwd=REPOSITORY, capture_output=True, text=True, check=True
            )
            assert '"success":true' in done.stdout, done.stdout + done.stderr
        refused = shlex.split(asked[1].replace("http://127.0.0.1:8000", server.url))
        searcher = shlex.split(asked[0])[2].rpartition(" ")[2]
        refused[2] = f"X-API-Key: {searcher}"
        done = subprocess.run([*refused, "-sS"], capture_output=True, text=True, check=True)
        assert '"forbidden"' in done.stdout
