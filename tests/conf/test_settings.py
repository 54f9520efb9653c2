"""Settings: the file, the overrides, the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.documents import read_yaml, validate
from conf.errors import UserError
from conf.settings import Settings, load_settings


def test_an_override_is_checked_like_the_file() -> None:
    assert load_settings("local", ("solve.gap=1e-3",)).solve.gap == 1e-3
    with pytest.raises(UserError, match="greater than 0"):
        load_settings("local", ("solve.gap=-1",))


@pytest.mark.parametrize("override", ["solve.gp=1", "nothing=1", "solve.gap", "solve.gap.deep=1"])
def test_an_unknown_setting_is_refused(override: str) -> None:
    with pytest.raises(UserError):
        load_settings("local", (override,))


def test_an_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        load_settings("moon")
    assert "local" in caught.value.remedy


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_SERVING_URL", "postgresql://cpc@localhost/cpc")
    assert load_settings("local").serving.url == "postgresql://cpc@localhost/cpc"


@pytest.mark.parametrize("name", ["local", "compose", "cluster"])
def test_every_environment_file_is_valid(name: str) -> None:
    assert load_settings(name).name == name


def test_settings_at_another_home_have_all_data_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_HOME", str(tmp_path / "one"))
    monkeypatch.delenv("CPC_LANDING", raising=False)
    settings = load_settings("local")
    moved = settings.at_home(tmp_path / "other")
    assert (settings.home, moved.home) == (tmp_path / "one", tmp_path / "other")
    assert (moved.lake, moved.landing) == (tmp_path / "other" / "lake", tmp_path / "other" / "landing")
    assert moved == settings


def test_a_setting_of_an_old_home_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is kept back for explorers"):
        load_settings("local", ("shares.explore_reserve=0.06",))
    file = tmp_path / "old.yml"
    file.write_text("shares:\n  control: 0.1\n  explore_reserve: 0.06\n")
    with pytest.raises(UserError, match="nothing is kept back for explorers") as caught:
        validate(Settings, read_yaml(file))
    assert caught.value.where.endswith("old.yml:3")
    assert "delete this line" in caught.value.remedy
