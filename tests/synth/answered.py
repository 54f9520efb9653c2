"""A small province whose plan of its decision date was published, as the night leaves it; no Spark."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hmac
from pathlib import Path

import numpy as np

from conf.preset import load_preset
from runtime.keys import pseudonym_key
from runtime.night import Night
from synth.history import live
from synth.plan import LoggedPlan
from synth.truth import write_origin, write_truth
from synth.world import World, make_world
from tests.nights.published import put

START = dt.date(2026, 1, 1)
DAYS = 2
DAY = START + dt.timedelta(DAYS)


@dataclasses.dataclass(frozen=True)
class Box:
    """A home with the truth of its province, and ids that are not the province's positions."""

    home: Night
    world: World

    def night(self, date: dt.date = DAY) -> Night:
        return Night(date, self.home.settings, self.home.landing)

    def customer_id(self, position: int) -> int:
        return position * 3 + 7

    def publish(self, date: dt.date = DAY, tag: str = "0123456789ab", step: int = 2) -> str:
        """Write assignment and serving rows of a plan that contacts every ``step``-th customer; the run's id."""
        night, plan, run_id = self.night(date), self.world.plan, f"{date}-{tag}"
        outbound = [plan.channels[c].id for c in plan.outbound]
        rows = []
        for position in np.flatnonzero(self.world.is_living(np.arange(self.world.size), plan.end_day)).tolist():
            customer = self.customer_id(position)
            some = position % step == 0
            rows.append(
                {
                    "business_date": date,
                    "run_id": run_id,
                    "decision_id": f"{run_id}:{customer}",
                    "customer_id": customer,
                    "product": plan.products[position * 7 % len(plan.products)].id if some else None,
                    "channel": outbound[position % len(outbound)] if some else None,
                    "role": "exploit" if some else "control",
                    "reason": "best" if some else "control",
                    "pscore": 0.95,
                    "marginal": False,
                }
            )
        put(night, "assignment", rows, night.partition)
        row = {"business_date": date, "run_id": run_id, "target": "store:assignment", "rows": len(rows)}
        put(night, "serving", [row], night.partition)
        return run_id


def make_box(home: Night, seed: int = 7, customers: int = 800) -> Box:
    """The truth of a province in the home's landing folder, and its numbers in ``subscriber``."""
    plan = LoggedPlan(home.catalogue, load_preset("easy"), customers, START, DAYS, seed)
    world = make_world(plan)
    write_truth(world, home.landing / "truth", live(world))
    write_origin(plan, "easy", home.landing / "truth")
    made = Box(home, world)
    key, opened = pseudonym_key(home.settings.home), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    living = np.flatnonzero(world.is_living(np.arange(world.size), plan.end_day)).tolist()
    numbers = [
        {
            "phone_pseudonym": hmac.digest(key, str(world["phone"][position]).encode(), "sha256"),
            "key_version": 1,
            "valid_from": opened,
            "valid_to": None,
            "customer_id": made.customer_id(position),
        }
        for position in living
    ]
    put(home, "subscriber", numbers)
    return made


def read_bytes(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
