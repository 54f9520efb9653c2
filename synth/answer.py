"""``python -m synth.answer --run R --out DIR``: what customers answer to a published plan, as interface files.

The province lives on from its decision date: the contacts of the plan are made, and what they cause comes back as
receipts, replies, orders, complaints and opt-outs, in the dialects, with control files, each carrying the decision
it answers. Plans that were published on earlier dates are lived through again, so that what they cause later comes on
its day; the same command gives the same bytes. The truth goes to ``DIR/truth/answers/``.

Cost: the province's history once (seconds for 20,000 customers), then deliveries as by ``cpc synth``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import filecmp
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.feed import Feed
from conf.money import MICRO
from conf.preset import load_preset
from conf.schema import Schema
from conf.settings import load_settings
from dialects import write_delivery
from runtime.night import Night
from synth.deliveries import SynthDelivery, later_deliveries
from synth.emit import records, table_of
from synth.events import Table, sort_by, stack, take
from synth.history import Course, make_history
from synth.keyed import stream
from synth.plan import LoggedPlan, date_of, day_of
from synth.published import date_of_run, find_published_run, read_plan
from synth.routes import fits, ledger_of, mappings
from synth.rows import EventRows
from synth.sequel import PublishedPlan, Sequel, live_on
from synth.truth import write_caused
from synth.twin import effects, orders_of_both
from synth.volume import scale_of
from synth.world import World, make_world

#: Ledgers whose feeds an answer writes; those of replies are found by what they carry.
ANSWERED = ("order", "contact", "complaint", "consent")
MOST_DAYS = 800  # numbers of orders and tickets are given by day


class AnswerSummary(TypedDict):
    """What an answer came to: of its days, and of the named run's contacts."""

    run_id: str
    first_date: str
    last_date: str
    files: int
    contacts: int
    reached: int
    converted: int
    refused: int
    opted_out: int
    complained: int
    replies: int
    orders: int
    cancellations: int
    caused_margin_yuan: float


@dataclass(frozen=True)
class Origin:
    """What a province was made of, as its truth says.

    Attributes:
        plan: the order for it.
        truth: its folder of truth.
    """

    plan: LoggedPlan
    truth: Path


def answer(night: Night, run_id: str, out: Path, days: int = 1, every_feed: bool = False) -> AnswerSummary:
    """Write what the province answers to a published plan on its date and the days after it.

    Args:
        night: the decision date's night; its landing folder holds the province with its truth.
        run_id: the published run.
        out: where deliveries and ``truth/answers/`` go; files that are there already must have the same content.
        days: data dates to write, from the decision date on, nobody being contacted after the first.
        every_feed: all feeds of those dates, not only those that carry answers.

    Raises:
        UserError: no province, no such published run, a date that the province's own files tell, or files that say
            otherwise.
    """
    origin = read_origin(night)
    first, plan = day_of(night.date), origin.plan
    if first < plan.end_day:
        raise UserError(
            f"what happened on {night.date} is told by the province's own files",
            where="--run",
            remedy=f"answer a run of {date_of(plan.end_day)} or later",
        )
    world = make_world(plan)
    plans = [read_plan(night, world, run_id), *earlier_plans(night, world)]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        past, _ = make_history(world, work)
        require_same_past(world, past, origin.truth)
        sequel = live_on(world, past, plans, first + days)
        extend_ledgers(work, sequel)
        staging = work / "files"
        for delivery in later_deliveries(plan, feeds_of(plan, every_feed=every_feed), first, first + days):
            write_one(world, sequel, work, delivery, staging)
        write_answer_truth(world, sequel, plans, staging / "truth" / "answers" / night.date.isoformat())
        files = hand_over(staging, out)
    return summarize(world, sequel, run_id, first, days, files)


def read_origin(night: Night) -> Origin:
    """What the province in the night's landing folder was made of.

    Raises:
        UserError: there is none, or it was made before that was written down.
    """
    truth = night.landing / "truth"
    path = truth / "province.json"
    if not path.exists():
        raise UserError(
            "what the province was made of is not known",
            where=str(path),
            remedy="answers are of a province made by `cpc demo` or `cpc synth` of this release; make one anew",
        )
    made = json.loads(path.read_text(encoding="utf-8"))
    preset, start = load_preset(made.pop("preset")), dt.date.fromisoformat(made.pop("start"))
    return Origin(LoggedPlan(night.catalogue, preset, start=start, **made), truth)


def require_same_past(world: World, past: Course, truth: Path) -> None:
    """Hold the past that was lived again against the one that the files tell.

    Raises:
        UserError: they differ: the catalogue has changed since.
    """
    stored = pq.read_table(truth / "order.parquet", columns=["customer", "time", "margin"])
    both = orders_of_both(world, past)
    if all(np.array_equal(stored[name].to_numpy(), both[name]) for name in stored.column_names):
        return
    raise UserError(
        "the province cannot be lived again: its products or channels are others now",
        where=str(world.plan.catalogue.root),
        remedy="answer with the catalogue that the province was made with, or make another province",
    )


def earlier_plans(night: Night, world: World) -> list[PublishedPlan]:
    """Plans that were published between the province's decision date and the night."""
    plans = []
    for day in range(world.plan.end_day, day_of(night.date)):
        eve = Night(date_of(day), night.settings, night.landing)
        if (run_id := find_published_run(eve)) is not None:
            plans.append(read_plan(eve, world, run_id))
    return plans


def extend_ledgers(work: Path, sequel: Sequel) -> None:
    """Append the later days to the ledgers of ``work``."""
    for name in ANSWERED:
        with np.load(work / f"{name}.npz", allow_pickle=False) as stored:
            table: Table = {column: stored[column] for column in stored.files}
        later = sequel.ledgers[name]
        if "decision" in later:
            table["decision"] = np.full(len(table["time"]), "", dtype="U1")
        wanted = {column: values for column, values in table.items() if column in later}
        arrays: dict[str, Any] = dict(sort_by(stack([wanted, later]), "time", "customer"))
        np.savez(work / f"{name}.npz", **arrays)


def feeds_of(plan: LoggedPlan, *, every_feed: bool) -> list[str]:
    """The feeds that an answer writes: those of the answered ledgers and of replies, or all of them."""
    catalogue = plan.catalogue
    schemas = {code: catalogue.schemas[feed.schema_name] for code, feed in catalogue.feeds.items()}
    if every_feed:
        return sorted(catalogue.feeds)
    return [
        code
        for code, feed in sorted(catalogue.feeds.items())
        if feed.granularity != "monthly"
        and (ledger_of(feed, schemas[code]) in ANSWERED or carries_replies(feed, schemas[code]))
    ]


def carries_replies(feed: Feed, schema: Schema) -> bool:
    """Whether a feed tells nothing but answers to messages, each with the decision it answers."""
    maps = mappings(feed, schema)
    if not maps or maps[0].conform.entity != "visit":
        return False
    decision = maps[0].sources.get("decision_id")
    return maps[0].choices.get("action") == ("answer",) and decision is not None and decision.kind == "field"


def write_one(world: World, sequel: Sequel, work: Path, delivery: SynthDelivery, out: Path) -> None:
    """Write a delivery of a later day; its replies stand after what customers do there anyway."""
    feed = world.plan.catalogue.feeds[delivery.feed]
    schema = world.plan.catalogue.schemas[feed.schema_name]
    table = table_of(world, feed, delivery.period, work, scale_of(world.plan, feed.code))
    if carries_replies(feed, schema):
        table = pa.concat_tables([table, reply_records(world, sequel, feed, delivery, table.num_rows)])
    write_delivery(feed, schema, table, out, delivery.data_date, hour=delivery.period.hour, created=delivery.created)


def reply_records(world: World, sequel: Sequel, feed: Feed, delivery: SynthDelivery, before: int) -> pa.Table:
    """Replies of a delivery's period on the channels of a feed, after ``before`` records of other kinds."""
    period, schema = delivery.period, world.plan.catalogue.schemas[feed.schema_name]
    replies = sequel.ledgers["reply"]
    inside = (replies["time"] >= period.first * 86400) & (replies["time"] < period.last * 86400)
    inside &= fits(world, mappings(feed, schema)[0], {}, {"time": replies["time"], "channel": replies["channel"]})
    rows = take(replies, inside)
    rng = stream(world.plan.luck, "reply records", feed.code, period.day)
    return records(world, feed, period, EventRows(rows["customer"], rows["time"], rows), rng, before)


def write_answer_truth(world: World, sequel: Sequel, plans: Sequence[PublishedPlan], folder: Path) -> None:
    """Write what every decision answered so far caused, and orders of both worlds since the decision date."""
    folder.mkdir(parents=True)
    write_caused(world, sequel.course, pa.array(sequel.decision.tolist(), pa.string()), folder, sequel.both)
    runs = {date_of(plan.day).isoformat(): plan.run_id for plan in plans}
    (folder / "runs.json").write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def hand_over(staging: Path, out: Path) -> int:
    """Move files to where they land, control files last; deliveries that are there already must be the same.

    Returns:
        number of interface files.

    Raises:
        UserError: a file is there with other content.
    """
    files = [path for path in sorted(staging.rglob("*")) if path.is_file()]
    for path in files:
        there = out / path.relative_to(staging)
        if path.parent == staging and there.exists() and not filecmp.cmp(path, there, shallow=False):
            raise UserError(
                f"{there.name} is there with other content: that date has been answered otherwise",
                where=str(there),
                remedy="name an empty folder with --out, or take that date's files away",
            )
    for path in sorted(files, key=lambda p: (is_control(p), p)):
        there = out / path.relative_to(staging)
        there.parent.mkdir(parents=True, exist_ok=True)
        partial = there.with_name(f".{there.name}.part")
        shutil.copyfile(path, partial)
        partial.replace(there)
    return sum(path.parent == staging for path in files)


def is_control(path: Path) -> bool:
    """Whether a file tells of others: it lands after them."""
    return path.suffix in (".CHK", ".verf") or path.name.endswith(".manifest.json")


def summarize(world: World, sequel: Sequel, run_id: str, first: int, days: int, files: int) -> AnswerSummary:
    """Counts of the named run's contacts, and of what the written days hold."""
    course, contacts = sequel.course, sequel.course.contacts
    ours = contacts["night"] == first
    caused = effects(world, course, sequel.both)
    written = {name: take(table, table["time"] >= first * 86400) for name, table in sequel.ledgers.items()}
    placed = written["order"]["action"] == 0
    return AnswerSummary(
        run_id=run_id,
        first_date=date_of(first).isoformat(),
        last_date=date_of(first + days - 1).isoformat(),
        files=files,
        contacts=int(ours.sum()),
        reached=int(contacts["reached"][ours].sum()),
        converted=int(contacts["converted"][ours].sum()),
        refused=int(contacts["refused"][ours].sum()),
        opted_out=int(ours[course.optouts["contact"]].sum()),
        complained=int(ours[course.protests["contact"]].sum()),
        replies=len(written["reply"]["time"]),
        orders=int(placed.sum()),
        cancellations=int((~placed).sum()),
        caused_margin_yuan=round(float(caused["margin"][ours[caused["contact"]]].sum()) / MICRO, 2),
    )


def main(argv: Sequence[str]) -> int:
    """Read the command, answer, and tell what came of it; 2 where the user can mend what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m synth.answer", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--run", required=True, help="the published run to answer, such as 2026-01-09-0123456789ab")
    parser.add_argument("--out", required=True, type=Path, help="where the files go; $CPC_HOME/landing closes the loop")
    parser.add_argument("--home", type=Path, help="the home whose run it is (default: CPC_HOME, else ./var)")
    parser.add_argument("--days", type=int, default=1, help="data dates to write, from the run's on (default 1)")
    parser.add_argument("--every-feed", action="store_true", help="all feeds of these dates, not only answers")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    asked = parser.parse_args(argv)
    try:
        if not 1 <= asked.days <= MOST_DAYS:
            raise UserError(f"{asked.days} days", where="--days", remedy=f"choose 1 to {MOST_DAYS}")
        settings = load_settings()
        settings = settings if asked.home is None else settings.at_home(asked.home)
        night = Night(date_of_run(asked.run), settings, settings.landing)
        summary = answer(night, asked.run, asked.out.resolve(), asked.days, asked.every_feed)
    except UserError as error:
        sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
        return 2
    lines = [json.dumps(summary)] if asked.json else [f"{name:<20} {value}" for name, value in summary.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
