"""What the nights say of the model that scored them: do scores move, do orders come as predicted, and for everyone?

Three checks for `ops_quality`, on nights before this one:

- *scores*: population stability of probabilities and values by channel, the last night against the week before it by the
  same version;
- *calibration*: orders over expected orders of the contacts that were chosen, whole and by product × channel, and the
  slope of orders on log-odds, over the last nights whose conversion window is closed. These are the arcs that the
  optimizer picked: it picks what is overestimated, so this is where overestimation shows;
- *response by slice*: the same ratio by region, grade and age group.

A ratio may leave 1 by a tenth and by chance: its bounds are wide enough that all of them together raise one false alarm
in a hundred nights. At scale every k-th file of a night is looked at.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import norm

from expectations.measure import check
from models.affinity.calibrate import slope
from models.affinity.drift import psi
from models.arrays import Floats
from runtime.lake import LiveFile
from runtime.night import Night

SUBJECT = "model affinity"
KINDS = ("score_psi", "calibration", "slope", "response")
SLICES = ("centre", "grade", "age_group")
#: Nights that scores are held against, and nights of contacts that calibration rests on.
WEEK, NIGHTS = 7, 28
#: PSI that is called a shift; how far orders may be from what is expected, beyond chance; bounds of the slope.
SHIFT, TOLERANCE, SLOPE = 0.25, 0.10, (0.8, 1.25)
_FALSE_ALARMS = 0.01  # of a night, over all its ratios
_LEAST_ROWS, _LEAST_ORDERS, _SLOPE_ORDERS = 500, 20, 500
_LOOKED = 1_000_000  # rows of `candidate` of a night
_EPS = 1e-9


@dataclass(frozen=True)
class Met:
    """Contacts of some nights: what was predicted, and what came.

    Attributes:
        p: (contacts,) probability to order within the window.
        y: (contacts,) 1 where they did.
        arc: (contacts,) ``product × channel`` by code.
        slices: name → (contacts,) value of the customer then, empty where unknown.
        nights: how many nights.
        through: the last of them.
    """

    p: Floats
    y: Floats
    arc: NDArray[np.str_]
    slices: Mapping[str, NDArray[np.str_]]
    nights: int
    through: dt.date


def model_checks(night: Night) -> list[dict[str, Any]]:
    """Every check of the model that tonight can make; none before it has scored a night."""
    scored = _files(night, "candidate")
    past = sorted(date for date in scored if date < night.date)
    if not past:
        return []
    checks = score_checks(night, {date: scored[date] for date in past[-1 - WEEK :]})
    met = contacts(night, scored)
    return checks + (calibration_checks(met) if met is not None else [])


# -- scores --------------------------------------------------------------------------------------------------------


def score_checks(night: Night, scored: Mapping[dt.date, Sequence[str]]) -> list[dict[str, Any]]:
    """PSI of the last of some nights against those before it that the same version scored."""
    *before, last = sorted(scored)
    columns = ["channel", "p_convert", "value_micro", "model_version"]
    now = ds.dataset(list(scored[last]), format="parquet").to_table(columns=columns)
    version = now["model_version"][0].as_py() if now.num_rows else ""
    paths = [path for date in before for path in scored[date]]
    same = pc.field("model_version") == version
    then = ds.dataset(paths, format="parquet").to_table(columns=columns, filter=same) if paths else now.slice(0, 0)
    rows = []
    for channel in night.catalogue.channels:
        old, new = (part.filter(pc.equal(part["channel"], channel.id)) for part in (then, now))
        enough = min(old.num_rows, new.num_rows) >= _LEAST_ROWS
        for name, scale in (("p_convert", _log_odds), ("value_micro", _plain)):
            moved = psi(scale(old[name]), scale(new[name])) if enough else None
            rows.append(
                check(
                    SUBJECT,
                    f"PSI of {name} {channel.code} · {last}",
                    "score_psi",
                    moved,
                    None,
                    SHIFT,
                    "warn",
                    version=version,
                    nights_before=len(before),
                    rows=new.num_rows,
                    rows_before=old.num_rows,
                )
            )
    return rows


def _log_odds(column: pa.ChunkedArray) -> Floats:
    return np.asarray(logit(np.clip(_plain(column), _EPS, 1 - _EPS)))


def _plain(column: pa.ChunkedArray) -> Floats:
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


# -- what came of contacts -------------------------------------------------------------------------------------------


def calibration_checks(met: Met) -> list[dict[str, Any]]:
    """Orders over expected orders: whole, by product × channel, by slice; and the slope."""
    every = np.ones(len(met.y), bool)
    groups: list[tuple[str, str, NDArray[np.bool_]]] = [("calibration", "orders over expected", every)]
    groups += [("calibration", f"orders over expected {arc}", met.arc == arc) for arc in np.unique(met.arc)]
    for name, values in sorted(met.slices.items()):
        groups += [("response", f"response {name} {value}", values == value) for value in np.unique(values) if value]
    groups = [group for group in groups if met.p[group[2]].sum() >= _LEAST_ORDERS]
    z = float(norm.ppf(1 - _FALSE_ALARMS / 2 / max(1, len(groups))))
    rows = []
    for kind, name, mask in groups:
        expected, orders = float(met.p[mask].sum()), float(met.y[mask].sum())
        chance = z * math.sqrt(float((met.p[mask] * (1 - met.p[mask])).sum())) / expected
        rows.append(
            check(
                SUBJECT,
                f"{name} · {met.through}",
                kind,
                orders / expected,
                max(0.0, 1 - TOLERANCE - chance),
                1 + TOLERANCE + chance,
                "warn",
                contacts=int(mask.sum()),
                orders=int(orders),
                expected=round(expected, 1),
                rate=round(orders / int(mask.sum()), 6),
                nights=met.nights,
            )
        )
    judged = met.y.sum() >= _SLOPE_ORDERS
    fitted = slope(met.y, met.p, np.ones(len(met.y))) if judged else None
    rows.append(
        check(
            SUBJECT,
            f"calibration slope · {met.through}",
            "slope",
            fitted,
            *SLOPE,
            "warn",
            contacts=len(met.y),
            orders=int(met.y.sum()),
            nights=met.nights,
        )
    )
    return rows


def contacts(night: Night, scored: Mapping[dt.date, Sequence[str]]) -> Met | None:
    """Contacts of the last nights whose conversion window was closed when results were last attributed.

    An explorer's arc that pruning had dropped has no stored score and is not among them.
    """
    results, snapshots = _files(night, "outcome"), _files(night, "customer_features")
    dates = [date for date in _find_closed_dates(night, results) if date in scored and date < night.date][-NIGHTS:]
    parts = [_night(results[date], scored[date], _before(snapshots, date)) for date in dates]
    joined = pa.concat_tables(parts, promote_options="permissive") if parts else None
    if joined is None or joined.num_rows == 0:
        return None
    products = {product.id: product.code for product in night.catalogue.products}
    channels = {channel.id: channel.code for channel in night.catalogue.channels}
    product, channel = (joined[name].to_pylist() for name in ("product", "channel"))
    arc = [f"{products.get(p, p)} × {channels.get(c, c)}" for p, c in zip(product, channel, strict=True)]
    converted = pc.fill_null(joined["converted"], False).to_numpy(zero_copy_only=False)
    slices = {
        name: np.array(pc.fill_null(joined[name].cast(pa.string()), "").to_pylist(), str)
        for name in SLICES
        if name in joined.column_names
    }
    return Met(
        joined["p_convert"].to_numpy(), converted.astype(np.float64), np.array(arc, str), slices, len(dates), dates[-1]
    )


def _night(results: Sequence[str], scored: Sequence[str], snapshot: Sequence[str]) -> pa.Table:
    """Contacts of a night with their scores and the slices of their customers."""
    keys = ["customer_id", "product", "channel"]
    chosen = ds.dataset(list(results), format="parquet").to_table(
        columns=[*keys, "converted"], filter=pc.field("product").is_valid()
    )
    scores = ds.dataset(list(scored), format="parquet").to_table(columns=[*keys, "p_convert"])
    met = chosen.join(scores, keys, join_type="inner")
    if not snapshot:
        return met
    source = ds.dataset(list(snapshot), format="parquet")
    names = [name for name in SLICES if name in source.schema.names]
    match = pc.field("customer_id").isin(met["customer_id"].combine_chunks())
    return met.join(source.to_table(columns=["customer_id", *names], filter=match), "customer_id")


def _find_closed_dates(night: Night, results: Mapping[dt.date, Sequence[str]]) -> list[dt.date]:
    """Dates whose conversion window was over when `outcome` was written: the newest matured date tells when."""
    windows = night.settings.outcome
    closes = max(windows.horizon_days, windows.cancel_days)
    for date in sorted(results, reverse=True):
        first = next(pq.ParquetFile(results[date][0]).iter_batches(1, columns=["matured"]), None)
        if first is not None and first["matured"][0].as_py():
            last = date + dt.timedelta(days=closes - windows.conversion_days)
            return [other for other in sorted(results) if other <= last]
    return []


def _before(files: Mapping[dt.date, Sequence[str]], date: dt.date) -> Sequence[str]:
    past = [other for other in files if other <= date]
    return files[max(past)] if past else ()


def _files(night: Night, table: str) -> dict[dt.date, list[str]]:
    """Date → files of a table; of `candidate` every k-th, so that a night's rows are some million at most."""
    by_date: dict[dt.date, list[LiveFile]] = {}
    for file in night.lake.live_files(table, bounds=("customer_id",)):
        by_date.setdefault(file.partition["business_date"], []).append(file)
    paths = {}
    for date, files in by_date.items():
        files.sort(key=lambda file: (file.low["customer_id"] or 0, file.rows))
        step = math.ceil(sum(file.rows for file in files) / _LOOKED) if table == "candidate" else 1
        paths[date] = [file.path for file in files[:: max(1, step)]]
    return paths
