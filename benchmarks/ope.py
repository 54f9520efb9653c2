"""``cpc ope`` against the reference values of the Open Bandit log, and its memory and speed as rounds grow.

Peers: the values that the ``obp`` package (0.4.1) gave, kept beside the data (it does not install in this
environment), and a plain NumPy evaluation that holds rounds × actions in memory, in this run.
Set ``CPC_DATA`` to the folder that has ``obd_random_all``.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from benchmarks.result import Result
from conf.errors import UserError
from models.affinity.ope import ESTIMATORS, Evaluation
from models.lifecycle.experiments.off_policy import off_policy

SIZES = ("obd", "grow")
_ROUNDS = {"obd": (10_000,), "grow": (10_000, 40_000, 160_000)}


def run(size: str) -> Result:
    """The log as it is, then copies of it: values, seconds, peak of allocated memory."""
    folder = _data()
    reference = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    log = pacsv.read_csv(folder / "all.csv.gz")
    rows: list[dict[str, Any]] = []
    worst = 0.0
    for rounds in _ROUNDS[size]:
        with tempfile.TemporaryDirectory() as scratch:
            paths = _written(log, reference, rounds, Path(scratch))
            found, seconds, peak = _ours(paths)
            plain, plain_seconds, plain_peak = _plain(log, reference, rounds)
        rows.append({"who": "cpc ope", "rounds": rounds, "seconds": seconds, "peak_mb": peak / 2**20, **found.values})
        rows.append(
            {
                "who": "NumPy, rounds × actions",
                "rounds": rounds,
                "seconds": plain_seconds,
                "peak_mb": plain_peak / 2**20,
            }
            | plain
        )
        if rounds == len(log):
            worst = max(abs(found.values[name] - value) for name, value in _expected(reference).items())
            rows.append({"who": "obp 0.4.1 (kept values)", "rounds": rounds, **_expected(reference)})
            rows += [
                {"who": f"95 % interval, {end}", "rounds": rounds}
                | {name: found.intervals[name][k] for name in ESTIMATORS}
                for k, end in enumerate(("low", "high"))
            ]
    ratio = {"largest difference to the reference": worst}
    if len(_ROUNDS[size]) > 1:
        ours = [row["peak_mb"] for row in rows if row["who"] == "cpc ope"]
        theirs = [row["peak_mb"] for row in rows if row["who"].startswith("NumPy")]
        ratio |= {"memory, 16 × the rounds": ours[-1] / ours[0], "memory of NumPy, same": theirs[-1] / theirs[0]}
    return Result(rows, ratio, (f"ESS {found.ess:,.0f}, largest weight {found.max_weight:.2f}; intervals by rounds.",))


def _data() -> Path:
    folder = Path(os.environ.get("CPC_DATA", "")) / "obd_random_all"
    if not (folder / "reference.json").exists():
        raise UserError("no Open Bandit log", where="CPC_DATA", remedy="set it to the folder that has obd_random_all")
    return folder


def _expected(reference: dict[str, Any]) -> dict[str, float]:
    values = reference["values"]
    same = {name: values[name] for name in ("ips", "snips", "dm", "dr", "sndr")}
    return same | {"switch_dr": values["switch_dr_tau5"], "dros": values["dros_lambda1"]}


def _written(log: pa.Table, reference: dict[str, Any], rounds: int, scratch: Path) -> dict[str, Path]:
    """Log, policy and reward model as files; the latter two in the long form, a row a round and action."""
    times = np.arange(rounds) % len(log)
    columns = {"action": "item_id", "reward": "click", "pscore": "propensity_score", "position": "position"}
    taken = {name: log[column].take(pa.array(times)) for name, column in columns.items()}
    paths = {name: scratch / f"{name}.parquet" for name in ("log", "policy", "reward_model")}
    pq.write_table(pa.table({"round": np.arange(rounds), **taken}), paths["log"])
    for name, column in (("policy", "probability"), ("reward_model", "value")):
        action, value = _arrays(reference[name])
        with pq.ParquetWriter(
            paths[name], pa.schema([("round", pa.int64()), ("action", pa.int64()), (column, pa.float64())])
        ) as out:
            for start in range(0, rounds, 5_000):
                block = np.arange(start, min(rounds, start + 5_000))
                out.write_table(
                    pa.table(
                        {
                            "round": np.repeat(block, len(action)),
                            "action": np.tile(action, len(block)),
                            column: np.tile(value, len(block)),
                        }
                    )
                )
    return paths


def _arrays(table: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([int(key) for key in table], np.int64), np.array(list(table.values()))


def _ours(paths: dict[str, Path]) -> tuple[Evaluation, float, int]:
    tracemalloc.start()
    clock = time.perf_counter()
    found = off_policy(paths["log"], paths["policy"], paths["reward_model"], tau=5.0, lam=1.0, repeats=200)
    seconds = time.perf_counter() - clock
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, seconds, peak


def _plain(log: pa.Table, reference: dict[str, Any], rounds: int) -> tuple[dict[str, float], float, int]:
    """The formulas of ``models.affinity.ope`` written down once more, on whole rounds × actions arrays."""
    tracemalloc.start()
    clock = time.perf_counter()
    times = np.arange(rounds) % len(log)
    action, r, e = (log[name].to_numpy()[times] for name in ("item_id", "click", "propensity_score"))
    pi, q = (np.tile(_arrays(reference[name])[1], (rounds, 1)) for name in ("policy", "reward_model"))
    at = np.arange(rounds)
    w, error, direct = pi[at, action] / e, r - q[at, action], (pi * q).sum(axis=1)
    found = {
        "ips": (w * r).mean(),
        "snips": (w * r).sum() / w.sum(),
        "dm": direct.mean(),
        "dr": (direct + w * error).mean(),
        "sndr": direct.mean() + (w * error).sum() / w.sum(),
        "switch_dr": (direct + np.where(w <= 5, w, 0) * error).mean(),
        "dros": (direct + w / (w**2 + 1) * error).mean(),
    }
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {name: float(value) for name, value in found.items()}, time.perf_counter() - clock, peak
