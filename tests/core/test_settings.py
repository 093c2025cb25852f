"""Settings are checked where they are read, and an error names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings


def test_everything_has_a_default() -> None:
    settings = Settings.load()
    assert settings.image_dir == Path("data/images")
    assert settings.store_dir == Path("data/store")
    assert settings.model == "classic"
    assert settings.threshold is None
    assert settings.host == "127.0.0.1"
    assert settings.max_upload_bytes == 20_000_000
    assert settings.max_image_pixels == 50_000_000


def test_variables_carry_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_BATCH_SIZE", "7")
    monkeypatch.setenv("LOOKALIKE_CORS_ORIGINS", "http://a, http://b,")
    assert Settings.load().batch_size == 7
    assert Settings.load().cors_origins == ("http://a", "http://b")


def test_empty_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("METADATA", "MODEL_WEIGHTS", "THRESHOLD", "SCHEDULE"):
        monkeypatch.setenv(f"LOOKALIKE_{name}", "")
    settings = Settings.load()
    assert settings.metadata is None
    assert settings.model_weights is None
    assert settings.threshold is None
    assert settings.schedule == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "many"),
        ("PORT", "70000"),
        ("DEVICE", "tpu"),
        ("PRECISION", "int4"),
        ("THRESHOLD", "1.5"),
        ("THRESHOLD", "nan"),
        ("SCHEDULE", "every day"),
        ("VERIFY_SCHEDULE", "* * *"),
        ("REMOVAL_GUARD_SHARE", "2"),
        ("DECODE_TIMEOUT_S", "0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    with pytest.raises(SettingsError, match=f"LOOKALIKE_{name}"):
        Settings.load()


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_PORT", "x")
    monkeypatch.setenv("LOOKALIKE_DEVICE", "x")
    with pytest.raises(SettingsError, match=r"DEVICE.*PORT|PORT.*DEVICE"):
        Settings.load()


def test_a_store_inside_the_image_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_STORE_DIR"):
        Settings.load(image_dir=tmp_path, store_dir=tmp_path / "store")
    assert Settings.load(image_dir=tmp_path / "images", store_dir=tmp_path)


def test_settings_do_not_change() -> None:
    settings = Settings.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # what must not work
