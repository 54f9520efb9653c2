"""Settings of an environment: ``conf/env/<name>.yml`` with ``--set path.to.key=value`` on top.

The only place that reads the process environment: ``CPC_HOME``, ``CPC_CONF``, ``CPC_LANDING``, ``CPC_ENV``, ``CPC_DEMO``,
``CPC_SERVING_URL``, ``CPC_MLFLOW_URI``.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field as Key
from pydantic import model_validator

from conf.bounds import LONGEST_DAYS, MOST, Count, Days, Seed, SettingYuan
from conf.catalogue import ROOT, Catalogue, load_catalogue
from conf.dates import Clock
from conf.documents import Document, Misfit, Strict, parse_value, read_yaml, validate
from conf.errors import UserError, raise_all, suggest

#: Settings of earlier releases, and why they are none any more.
GONE = {
    "explore_reserve": "explore_reserve is no setting any more: nothing is kept back for explorers, what they use is "
    "taken off the limits"
}


class Spark(Strict):
    """How Spark runs."""

    master: str = Key(default="local[2]", min_length=1)  # where Spark runs: in the process, or the URL of a cluster
    driver_memory: str = Key(
        default="3g", pattern=r"^[1-9][0-9]*[mgMG]$"
    )  # memory of the driver, which also holds local tasks
    shuffle_partitions: int = Key(default=4, ge=1, le=1_000_000)  # parts of a shuffle: some two a core
    conf: dict[str, str] = {}  # entries of Spark's own configuration


class Shares(Strict):
    """Labels of customers: ``control`` and ``usual`` stay for twelve months, ``explore`` is drawn nightly; the rest exploit."""

    control: float = Key(default=0.10, ge=0, lt=1)  # never contacted; a twelfth is renewed each month
    explore: float = Key(default=0.05, ge=0, lt=1)  # get a contact by chance, or none, drawn each night
    usual: float = Key(default=0.0, ge=0, lt=1)  # served by the order of usual.yml, with this share of each limit

    @model_validator(mode="before")
    @classmethod
    def _refuse_reserve(cls, data: Any) -> Any:
        if isinstance(data, dict) and "explore_reserve" in data:
            raise Misfit(GONE["explore_reserve"], "explore_reserve", remedy="delete this line (release 0.3)")
        return data

    @model_validator(mode="after")
    def _leaves_some(self) -> Shares:
        if self.control + self.explore + self.usual >= 1:
            usual = f", usual {self.usual:g}" if self.usual else ""
            what = f"control {self.control:g}{usual} and explore {self.explore:g} leave nobody to exploit"
            raise Misfit(what, "control", remedy="their sum must be below 1")
        return self


class Outcome(Strict):
    """When a decision's result counts."""

    conversion_days: int = Key(
        default=7, ge=1, le=LONGEST_DAYS
    )  # an order of the product so soon after a contact answers it
    horizon_days: int = Key(
        default=30, ge=1, le=LONGEST_DAYS
    )  # margin of all orders of so many days; then a decision is matured
    cancel_days: Days = 30  # a cancellation so soon after the order reverses it


class Solve(Strict):
    """What the nightly assignment aims at."""

    gap: float = Key(default=1e-4, gt=0, le=1)  # (bound − value) / bound at which the search ends
    keep_arcs: int = Key(default=8, ge=1, le=10_000)  # arcs a customer kept by pruning
    switch_cost: SettingYuan = 0.0  # 元 that another arc than last night's must be worth more


class SlateSettings(Strict):
    """How offers of inbound channels are shown: drawn by Plackett and Luce, so that places can be learnt from."""

    temperature: SettingYuan = 0.02  # 元: offers this far apart stand e : 1; 0 shows the best first
    hours: tuple[Clock, Clock] = ("08:00", "22:00")  # most visits fall between; evenly, where a refresh asks

    @model_validator(mode="after")
    def _check_order(self) -> SlateSettings:
        if self.hours[0] >= self.hours[1]:
            raise Misfit(f"{self.hours[0]} is not before {self.hours[1]}", "hours", remedy="exchange them")
        return self


class Affinity(Strict):
    """How the affinity model is trained and how a probability becomes money."""

    trees: int = Key(default=160, ge=1, le=100_000)  # most trees of an ensemble; late nights stop earlier
    leaves: int = Key(default=7, ge=2, le=131_072)  # leaves of a tree
    learning_rate: float = Key(default=0.06, gt=0, le=1)  # part of a tree that is believed
    min_leaf: Count = 200  # fewest rows of a leaf
    rows: int = Key(
        default=150_000, ge=1000, le=MOST
    )  # training rows kept: every conversion, a weighted sample of the rest
    features: int = Key(default=60, ge=1, le=100_000)  # customer features kept, by gain
    late_share: float = Key(default=0.25, gt=0, lt=1)  # last part of the nights: calibration and validation out of time
    drift_psi: float = Key(default=0.5, gt=0, le=1000)  # a feature that moved more since training is left out
    complaint_cost: SettingYuan = 20.0  # 元 that a complaint costs to handle
    future_nights: Days = 180  # nights of contacts that an opt-out forgoes


class Gate(Strict):
    """What a challenger must show before it becomes champion (``cpc models promote``)."""

    delta: SettingYuan = 0.0  # 元 a customer-night that it may lose, by the one-sided 95 % lower bound
    ess: float = Key(default=1000.0, ge=0, le=1e12)  # effective sample where it disagrees with the champion
    unsupported: float = Key(default=0.01, ge=0, le=1)  # share of its choices there that were never logged
    slope: tuple[float, float] = (0.8, 1.25)  # slope of the calibration out of time
    ratio: float = Key(default=0.10, ge=0, le=1000)  # how far predicted over observed may be from 1
    slice_delta: SettingYuan = 0.25  # 元 a customer-night that any slice may lose

    @model_validator(mode="after")
    def _check_order(self) -> Gate:
        if self.slope[0] > self.slope[1]:
            raise Misfit(f"{self.slope[0]:g} is above {self.slope[1]:g}", "slope", remedy="exchange them")
        return self


class Serving(Strict):
    """The serving store: empty ``url`` means the embedded PostgreSQL."""

    url: str = ""  # better in CPC_SERVING_URL, where it carries a password


class Mlflow(Strict):
    """The model registry: empty ``uri`` means SQLite below the home."""

    uri: str = ""  # better in CPC_MLFLOW_URI, where it carries a password
    experiment: str = "affinity"  # experiment under which trainings are logged
    model: str = "affinity"  # registered model whose champion scores


class Settings(Strict):
    """Everything an environment decides."""

    name: str = "local"  # the environment: the name of its file
    demo: str = ""  # overlay below conf/demo that replaces the operator's catalogue
    seed: Seed = 20260109  # of all draws: roles, exploration, slates, samples
    spark: Spark = Spark()
    shares: Shares = Shares()
    outcome: Outcome = Outcome()
    solve: Solve = Solve()
    slates: SlateSettings = SlateSettings()
    serving: Serving = Serving()
    mlflow: Mlflow = Mlflow()
    affinity: Affinity = Affinity()
    gate: Gate = Gate()
    quiet_hours: tuple[Clock, Clock] = ("21:00", "09:00")  # no outbound contact between these; no job reads it yet

    @cached_property
    def home(self) -> Path:
        """Where all data of the embedded default lives (``CPC_HOME``, default ``./var``); a demo has its own below."""
        home = Path(os.environ.get("CPC_HOME", "var")).resolve()
        return home / "demo" / self.demo if self.demo else home

    def at_home(self, home: Path) -> Settings:
        """The same settings with all data in another folder."""
        moved = self.model_copy()
        moved.__dict__["home"] = home.resolve()  # where `cached_property` keeps it
        return moved

    @property
    def lake(self) -> Path:
        """The folder of Delta tables."""
        return self.home / "lake"

    @property
    def landing(self) -> Path:
        """Where interface files arrive."""
        return Path(os.environ.get("CPC_LANDING", self.home / "landing")).resolve()

    @property
    def catalogue(self) -> Catalogue:
        """The facts in force: the operator's, or the overlay of a demo."""
        return load_catalogue(ROOT / "demo" / self.demo if self.demo else operator_root())


#: Settings below which any key may be set.
_FREE = frozenset({"conf"})
#: Addresses may carry passwords: they come from the environment, never from YAML.
_FROM_ENVIRONMENT = (
    ("CPC_DEMO", "demo", ""),
    ("CPC_SERVING_URL", "serving", "url"),
    ("CPC_MLFLOW_URI", "mlflow", "uri"),
)


def operator_root() -> Path:
    """The folder of the operator's catalogue and environments: ``CPC_CONF``, else this package's own."""
    return Path(os.environ.get("CPC_CONF", ROOT)).resolve()


def load_settings(name: str | None = None, overrides: tuple[str, ...] = ()) -> Settings:
    """Read ``conf/env/<name>.yml`` and apply overrides ``path.to.key=value``.

    Raises:
        UserError: no such environment, or a key or value that does not fit.
    """
    name = name or os.environ.get("CPC_ENV", "local")
    folder = operator_root() / "env" if (operator_root() / "env").is_dir() else ROOT / "env"
    path = folder / f"{name}.yml"
    known = sorted(p.stem for p in folder.glob("*.yml"))
    if name not in known:
        raise UserError(f"no environment {name!r}", where="--env", remedy=suggest(name, known))
    settings = read_settings(path)
    for override in overrides:
        settings = _apply(settings, override)
    return settings


def read_settings(path: Path) -> Settings:
    """The settings that a file of ``conf/env`` and the process environment give.

    Raises:
        UserError: a key or value that does not fit.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise UserError(
            "the file must hold `key: value`", where=document.where(), remedy="conf/env/local.yml is an example"
        )
    data = {"name": path.stem, **document.data}
    for variable, section, key in _FROM_ENVIRONMENT:
        if value := os.environ.get(variable):
            below = data.get(section) or {}
            data[section] = {**below, key: value} if key and isinstance(below, dict) else value
    return validate(Settings, document, data)


def _apply(settings: Settings, override: str) -> Settings:
    path, separator, text = override.partition("=")
    place = f"--set {path.strip()}"
    if not separator:
        raise UserError(f"{override!r} sets nothing", where="--set", remedy="write --set path.to.key=value")
    data = settings.model_dump(mode="json")
    inner: Any = data
    *above, last = path.strip().split(".")
    for key in above:
        inner = _below(inner, key, place)
    if not isinstance(inner, dict) or not set(above) & _FREE:
        _below(inner, last, place)
    inner[last] = parse_value(text, place)
    try:
        return validate(Settings, Document(Path("--set"), data, {}))
    except UserError as error:  # the file was sound: what does not fit now is what was set
        raise_all([UserError(mistake.what, where=place, remedy=mistake.remedy) for mistake in error.each])
        raise


def _below(data: Any, key: str, place: str) -> Any:
    if not isinstance(data, dict):
        raise UserError(f"there is no setting {key!r} below a value", where=place, remedy="set what is above it")
    if key in GONE:
        raise UserError(GONE[key], where=place, remedy="leave it out (release 0.3)")
    if key not in data:
        raise UserError(f"no setting {key!r}", where=place, remedy=suggest(key, data))
    return data[key]
