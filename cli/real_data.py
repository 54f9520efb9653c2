"""``cpc demo --data NAME``: a night on data that nobody here made, and what it can honestly report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cli.nightly import tell
from cli.output import console, print_figures, print_json
from conf.settings import load_settings
from features.store.backfill import snapshot_dates
from reporting.night_report.facts import read_plan
from runtime.figures import AssignFigures, ProveFigures
from runtime.night import Night
from runtime.run_record import last_training, night_record
from runtime.runner import pin, plan, run_night
from serving.phone_numbers import numbers_of

if TYPE_CHECKING:
    from synth.real import DataSetFacts

#: Bins of the calibration shown: fewer rows than this in each say nothing.
BINS, LEAST = 5, 20


def demo_real(name: str, env: str | None, set_: Sequence[str] | None, *, as_json: bool) -> None:
    """Write the set's landing files, run history, training and night on them, and report."""
    from synth.real import write

    settings = load_settings(env, (*(set_ or ()), f"demo={name}"))
    log: Callable[[str], None] = (lambda text: None) if as_json else console.print
    facts = write(name, settings.landing)
    night = Night(facts.date, settings, settings.landing)
    log(f"{name}: {facts.records:,} records as {sum(facts.written.values()):,} rows of {len(facts.written)} feeds")
    go(night, facts, log)
    report = describe_data_set(night, facts)
    (settings.home / "real.json").write_text(json.dumps(report, ensure_ascii=False, indent=2, default=str) + "\n")
    if as_json:
        print_json(report)
    else:
        show(name, report)


def go(night: Night, facts: DataSetFacts, log: Callable[[str], None]) -> None:
    """The same jobs as every night: history in one batch, snapshots of the past, training, the night."""

    def each(job: str, record: Any) -> None:
        tell(job, record, log)

    run_night(night, plan("nightly", None, "partials"), each)
    if facts.snapshots:
        snapshot_dates(night, facts.snapshots)
        run_night(night, plan("training"), each)
        pin(night)
    run_night(night, plan("nightly", "snapshot", facts.until), each)


def describe_data_set(night: Night, facts: DataSetFacts) -> dict[str, Any]:
    """Everything the set allows to say, and what it does not."""
    record, counted = night_record(night, night.date), read_plan(night, night.date)
    assign = record.read(AssignFigures)
    return {
        "set": facts.name,
        "date": facts.date,
        "records": facts.records,
        "reconciled": reconcile_rows(night, facts),
        "training": last_training(night).simple(),
        "held_back": score_held_back(night, facts.held_back) if facts.held_back else None,
        "expected": {
            name: {"set": value, "night": compare_figure(night, name)} for name, value in facts.expected.items()
        },
        "night": {
            "customers": counted.customers,
            "contacts": counted.contacts,
            "value_yuan": counted.value_micro / 1e6,
            "certified_gap": assign.gap,
            "lift": assign.lift,
            "certificate": record.read(ProveFigures).verdict,
        },
        "report": str(night.settings.home / "published" / night.date.isoformat() / "report.html"),
        "assumptions": list(facts.assumptions),
        "absent": list(facts.absent),
    }


def reconcile_rows(night: Night, facts: DataSetFacts) -> dict[str, Any]:
    """Rows written against rows in tables and quarantine, by feed: nothing may be missing."""
    ledger = night.lake.arrow("ops_delivery", columns=["feed", "loaded", "quarantined", "state"])
    taken = ledger.filter(pc.equal(ledger["state"], "accepted"))
    sums = taken.group_by("feed").aggregate([("loaded", "sum"), ("quarantined", "sum")]).to_pylist()
    counts = {row["feed"]: (row["loaded_sum"] or 0, row["quarantined_sum"] or 0) for row in sums}
    feeds = {
        feed: {"written": count, "loaded": counts.get(feed, (0, 0))[0], "quarantined": counts.get(feed, (0, 0))[1]}
        for feed, count in facts.written.items()
    }
    missing = sum(row["written"] - row["loaded"] - row["quarantined"] for row in feeds.values())
    return {"feeds": feeds, "missing": missing}


def compare_figure(night: Night, name: str) -> float:
    """What the night says of a figure that the set itself gives (``Facts.expected``)."""
    if name.startswith("reason:"):
        reasons = night.lake.arrow("eligible", partition=night.partition, columns=["reason"])["reason"]
        return float(pc.sum(pc.equal(reasons, name.removeprefix("reason:"))).as_py() or 0)
    column = night.lake.arrow("customer_features", partition=night.partition, columns=[name])[name]
    return float(pc.sum(column).as_py() or 0)


def score_held_back(night: Night, path: Path) -> dict[str, Any]:
    """The night's probabilities against what came later: the arcs that were scored and that the set tells about."""
    answers = pq.read_table(path)
    scored = night.lake.arrow(
        "candidate", partition=night.partition, columns=["customer_id", "product", "channel", "p_convert"]
    )
    people = numbers_of(night, scored["customer_id"])
    named = scored.join(people, "customer_id", join_type="inner")
    for name, listed in (("product", night.catalogue.products), ("channel", night.catalogue.channels)):
        ids, codes = pa.array([row.id for row in listed], pa.int16()), pa.array([row.code for row in listed])
        column = codes.take(pc.index_in(named[name].combine_chunks(), value_set=ids))
        named = named.set_column(named.column_names.index(name), name, column)
    both = named.join(answers, ["phone", "product", "channel"], ["number", "product", "channel"], join_type="inner")
    chance = both["p_convert"].to_numpy().astype(float)
    label = both["converted"].to_numpy(zero_copy_only=False).astype(bool)
    return {
        "arcs_told": answers.num_rows,
        "arcs_scored": len(label),
        "auc": auc(chance, label),
        "predicted_rate": float(chance.mean()) if len(label) else None,
        "observed_rate": float(label.mean()) if len(label) else None,
        "calibration": bins(chance, label),
    }


def auc(chance: NDArray[np.float64], label: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve by ranks, ties halved (Mann–Whitney); None where one class is absent."""
    positive, negative = int(label.sum()), int((~label).sum())
    if not positive or not negative:
        return None
    _, place, count = np.unique(chance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * negative))


def bins(chance: NDArray[np.float64], label: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Predicted and observed rate in groups of equal size by prediction."""
    if len(label) < BINS * LEAST:
        return []
    order = np.argsort(chance, kind="stable")
    return [
        {"predicted": float(chance[part].mean()), "observed": float(label[part].mean()), "rows": float(len(part))}
        for part in np.array_split(order, BINS)
    ]


def show(name: str, report: dict[str, Any]) -> None:
    """The report for people: figures, then what was assumed, then what is absent."""
    night, later, rows = report["night"], report["held_back"], report["reconciled"]
    training = report["training"]
    figures: dict[str, Any] = {
        "decision date": str(report["date"]),
        "records of the set": report["records"],
        "rows written, loaded, set aside": _rows(rows),
        "rows missing": rows["missing"],
        **{f"training {key}": value for key, value in training.items() if "auc" in key or "calib" in key},
    }
    if later:
        figures |= {
            "held back: arcs scored of those told": f"{later['arcs_scored']:,} of {later['arcs_told']:,}",
            "held back: AUC": later["auc"],
            "held back: predicted / observed": f"{_rate(later['predicted_rate'])} / {_rate(later['observed_rate'])}",
        }
    for figure, pair in report["expected"].items():
        figures[f"{figure}: set / night"] = f"{pair['set']:,.2f} / {pair['night']:,.2f}"
    if night["customers"]:
        figures |= night | {"night report": report["report"]}
    print_figures(f"{name}: what this set can tell", figures)
    for title, lines in (("assumed", report["assumptions"]), ("absent, not reported", report["absent"])):
        console.print(f"{title}:")
        for line in lines:
            console.print(f"  - {line}")


def _rows(rows: dict[str, Any]) -> str:
    feeds = rows["feeds"].values()
    return ", ".join(f"{sum(feed[key] for feed in feeds):,}" for key in ("written", "loaded", "quarantined"))


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
