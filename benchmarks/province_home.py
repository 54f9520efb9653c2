"""``python -m benchmarks.province_home HOME --seed S --preset P``: a home that the province benchmark measures.

A province, its files loaded, weekly snapshots, outcomes, tonight's snapshot and eligible arcs: the night up to where
values begin, by the product's own jobs. Minutes and some 700 MB a home; the benchmark itself needs no Spark then.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from conf.preset import load_preset


def main() -> None:
    """Make one home."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.province_home", description=__doc__)
    parser.add_argument("home")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--preset", choices=("real", "null", "easy", "large"), default="real")
    parser.add_argument("--customers", type=int, default=20_000)
    asked = parser.parse_args()
    os.environ["CPC_HOME"] = asked.home
    policy = load_preset(asked.preset).policy  # tonight's shares are those of the log

    from benchmarks.province_truth import open_box
    from cli.demo import LAST, make_province
    from conf.settings import load_settings
    from features.store.backfill import missing_snapshots, snapshot_dates
    from jobs import feedback
    from runtime.night import Night
    from runtime.runner import plan, run_night

    sets = [
        f"seed={asked.seed}",
        f"shares.control={policy.control}",
        f"shares.explore={policy.explore}",
        f"affinity.rows={max(150_000, 5 * asked.customers)}",
    ]
    settings = load_settings("local", tuple(sets))
    night = Night(LAST, settings, settings.landing)
    box: dict[str, Any] = {
        "customers": asked.customers,
        "days": 8,
        "preset": asked.preset,
        "seed": asked.seed,
        "set": sets,
    }
    make_province(night, box, print)
    run_night(night, plan("nightly", None, "partials"))
    snapshot_dates(night, missing_snapshots(night))
    feedback.run(night)
    run_night(night, plan("nightly", "snapshot", "eligibility"))
    open_box(night)


if __name__ == "__main__":
    main()
