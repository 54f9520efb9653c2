"""The province in a box: customers, behaviour with known truth, written in the real dialects.

The model is drawn once (traits, registers, past policy, ledgers) and mapped by workers; each delivery then depends
on the seed, its feed and its date alone, so any number of workers writes the same bytes.
Cost: nights × customers for the past decisions; bytes of source otherwise. Memory: the world's columns (some 400
bytes a customer, mapped from disk by workers) and one delivery a worker.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from conf.catalogue import ROOT, load_catalogue
from conf.errors import UserError
from conf.preset import load_preset
from dialects import write_delivery
from synth.deliveries import SynthDelivery, deliveries
from synth.emit import table_of
from synth.faults import incomplete, with_faults
from synth.history import Course, make_history
from synth.keyed import stream
from synth.plan import LoggedPlan, date_of
from synth.truth import write_origin, write_truth
from synth.volume import is_drawn, scale_of
from synth.world import World, make_world, open_world, save_world

Progress = Callable[[int, int], None]


class Summary(TypedDict):
    """What a province came to; ``bytes`` are those of the files as sent."""

    customers: int
    first_date: str
    last_date: str
    decision_date: str
    feeds: int
    deliveries: int
    files: int
    rows: int
    bytes: int
    decisions: int
    truth_rows: int
    seconds: float


@dataclass(frozen=True)
class WriteTask:
    """What a worker needs to write one delivery."""

    delivery: SynthDelivery
    landing: Path
    scale: float


def write_province(
    out: Path,
    customers: int,
    start: dt.date,
    days: int,
    seed: int,
    preset: str = "real",
    bytes_per_day: int | None = None,
    workers: int = 2,
    history_days: int = 180,
    catalogue_root: Path = ROOT,
    progress: Progress | None = None,
) -> Summary:
    """Write the landing files of every feed into ``out`` and the truth into ``out/truth/``.

    Args:
        out: folder for the files; made if absent, must hold no province yet.
        customers: customers who ever hold a number of it.
        start: first data date with daily and hourly files (the first of a month, or its archive is missing).
        days: such dates; the decision date is the day after the last.
        seed: of everything.
        preset: name in ``conf/presets``.
        bytes_per_day: source bytes wanted a day, before compression, of all feeds together (None: as the feeds declare).
        workers: processes; any number writes the same bytes.
        history_days: days before ``start`` that come as monthly archives.
        catalogue_root: folder of the catalogue.
        progress: called with deliveries written and all deliveries.

    Raises:
        UserError: a size, date or preset that cannot be, or a folder that already holds files.
    """
    began = time.perf_counter()
    if out.exists() and any(out.iterdir()):
        raise UserError("the folder is not empty", where=str(out), remedy="name a new folder with --out")
    plan = LoggedPlan(
        load_catalogue(catalogue_root), load_preset(preset), customers, start, days, seed, history_days, bytes_per_day
    )
    part, work = out.with_name(out.name + ".part"), out.with_name(out.name + ".model")
    for unfinished in (part, work):
        shutil.rmtree(unfinished, ignore_errors=True)
    course, counts = make_model(plan, work)
    truth_rows = write_truth(open_world(plan, work / "world"), part / "truth", course)
    write_origin(plan, preset, part / "truth")
    tasks = [WriteTask(d, part, scale_of(plan, d.feed)) for d in deliveries(plan)]
    done = _write_all(plan, preset, work, tasks, workers, progress)
    shutil.rmtree(work)
    if out.exists():
        out.rmdir()
    part.rename(out)
    return Summary(
        customers=customers,
        first_date=start.isoformat(),
        last_date=date_of(plan.end_day - 1).isoformat(),
        decision_date=date_of(plan.end_day).isoformat(),
        feeds=len({t.delivery.feed for t in tasks}),
        deliveries=len(tasks),
        files=sum(d[0] for d in done),
        rows=sum(d[1] for d in done),
        bytes=sum(d[2] for d in done),
        decisions=counts["decision"],
        truth_rows=truth_rows,
        seconds=round(time.perf_counter() - began, 1),
    )


def make_model(plan: LoggedPlan, work: Path) -> tuple[Course, dict[str, int]]:
    """Draw the world and its history into ``work``; what happened, and rows of each ledger."""
    world = make_world(plan)
    save_world(world, work / "world")
    return make_history(world, work)


_WORLD: World | None = None
_WORK: Path | None = None


def _open(plan_args: tuple[object, ...], preset: str, work: Path) -> None:
    """Worker start: load conf and map the world."""
    global _WORLD, _WORK
    root, *rest = plan_args
    plan = LoggedPlan(load_catalogue(Path(str(root))), load_preset(preset), *rest)  # type: ignore[arg-type]
    _WORLD, _WORK = open_world(plan, work / "world"), work


def write_one(task: WriteTask) -> tuple[int, int, int]:
    """Write one delivery; files, rows and bytes."""
    if _WORLD is None or _WORK is None:
        raise RuntimeError("a worker writes only after it has opened the world")
    plan, delivery = _WORLD.plan, task.delivery
    feed = plan.catalogue.feeds[delivery.feed]
    table = table_of(_WORLD, feed, delivery.period, _WORK, task.scale)
    schema = plan.catalogue.schemas[feed.schema_name]
    if delivery.restated:
        table = incomplete(table)
    raw: dict[int, bytes] = {}
    if is_drawn(feed, schema):
        rng = stream(plan.seed, "faults", feed.code, delivery.period.day, delivery.period.hour, delivery.resend)
        table, raw = with_faults(feed, schema, table, rng, plan.preset.faults)
    files = write_delivery(
        feed,
        schema,
        table,
        task.landing,
        delivery.data_date,
        hour=delivery.period.hour,
        resend=delivery.resend,
        created=delivery.created,
        raw=raw,
    )
    return len(files), table.num_rows, sum(path.stat().st_size for path in files)


def _write_all(
    plan: LoggedPlan, preset: str, work: Path, tasks: list[WriteTask], workers: int, progress: Progress | None
) -> list[tuple[int, int, int]]:
    arguments = (
        plan.catalogue.root,
        plan.customers,
        plan.start,
        plan.days,
        plan.seed,
        plan.history_days,
        plan.bytes_per_day,
    )
    heavy_first = sorted(tasks, key=lambda t: -_weight(plan, t))
    done: list[tuple[int, int, int]] = []
    if workers <= 1:
        _open(arguments, preset, work)
        results = map(write_one, heavy_first)
        done = _collect(results, len(tasks), progress)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_open, initargs=(arguments, preset, work)
        ) as pool:
            done = _collect(pool.map(write_one, heavy_first, chunksize=8), len(tasks), progress)
    return done


def _collect(
    results: Iterable[tuple[int, int, int]], total: int, progress: Progress | None
) -> list[tuple[int, int, int]]:
    done: list[tuple[int, int, int]] = []
    for count, result in enumerate(results, start=1):
        done.append(result)
        if progress is not None:
            progress(count, total)
    return done


def _weight(plan: LoggedPlan, task: WriteTask) -> float:
    return plan.catalogue.feeds[task.delivery.feed].rows_per_1000 * task.scale
