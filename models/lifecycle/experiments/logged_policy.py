"""A logged policy, an evaluation policy and a reward model from files, brought together chunk by chunk of rounds.

The log is held in memory (a few numbers a round); the long files (a row a round and action) are split on disk by
chunk of rounds first, so that memory grows with neither rounds × actions nor the order of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.errors import UserError
from models.affinity.ope import Batch
from models.arrays import Floats, Ints
from models.lifecycle.experiments.tabular import batches, need, numbers, read, texts

_RECORD = np.dtype([("row", np.int64), ("action", np.int64), ("value", np.float64)])
_CLUSTERS = ("cluster", "customer", "customer_id", "user_id")
_OWN = {"round", "action", "reward", "pscore", "position", "eligible", *_CLUSTERS}


@dataclass(frozen=True)
class Log:
    """A log in memory: a row a round that a draw gave; actions are positions in ``actions``.

    Attributes:
        without_pscore: rounds that no draw gave (no pscore); they are left out.
    """

    path: Path
    rounds: pa.Array  # text
    actions: pa.Array  # text
    action: Ints
    reward: Floats
    pscore: Floats
    position: Ints
    cluster: Ints
    eligible: list[NDArray[np.int64]] | None
    context: pa.Table
    without_pscore: int


def read_log(path: Path) -> Log:
    """Read and check a log; rounds whose pscore is empty are left out and counted.

    Raises:
        UserError: a column is missing, a pscore is not in (0, 1], a round is given twice, or no round has a pscore.
    """
    table = read(path)
    need(table, path, ("round", "action", "reward", "pscore"))
    drawn = pc.is_valid(table["pscore"])
    place = table.column_names.index("pscore")
    pscore = numbers(
        table.set_column(place, "pscore", pc.fill_null(table["pscore"].cast(pa.float64()), 1.0)), path, "pscore"
    )
    wrong = np.flatnonzero((pscore <= 0) | (pscore > 1))
    if len(wrong):
        raise UserError(
            f"pscore {pscore[wrong[0]]} is no probability above 0",
            where=f"{path}, row {wrong[0] + 1}, column pscore",
            remedy="log the probability with which the action was chosen",
        )
    numbers(table, path, "reward")
    known = drawn.to_numpy(zero_copy_only=False)
    table, pscore = table.filter(drawn), pscore[known]
    if not table.num_rows:
        raise UserError("no round has a pscore", where=f"{path}, column pscore", remedy="log it where a draw decided")
    rounds, action = texts(table, "round").combine_chunks(), texts(table, "action").combine_chunks()
    position, _ = (
        _codes(texts(table, "position").combine_chunks()) if "position" in table.column_names else _zeros(len(rounds))
    )
    lists = _lists(table["eligible"]) if "eligible" in table.column_names else None
    actions = pc.unique(pa.concat_arrays([action, *(lists or [])])).sort()
    name = next((n for n in _CLUSTERS if n in table.column_names), "round")
    cluster, _ = _codes(texts(table, name).combine_chunks())
    if len(pc.unique(rounds)) != len(rounds):
        raise UserError(
            "a round is given twice", where=f"{path}, column round", remedy="number rounds so that each row has its own"
        )
    return Log(
        path,
        rounds,
        actions,
        _at(action, actions),
        numbers(table, path, "reward"),
        pscore,
        position,
        cluster,
        [_at(each, actions) for each in lists] if lists is not None else None,
        table.select([c for c in table.column_names if c not in _OWN]),
        int((~known).sum()),
    )


def _zeros(n: int) -> tuple[Ints, pa.Array]:
    return np.zeros(n, np.int64), pa.array(["0"])


def _codes(values: pa.Array) -> tuple[Ints, pa.Array]:
    known = pc.unique(values).sort()
    return _at(values, known), known


def _at(values: pa.Array, known: pa.Array) -> Ints:
    """Positions in ``known``, −1 where not in it."""
    place = pc.index_in(values, value_set=known)
    return pc.fill_null(place.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)


def _lists(column: pa.ChunkedArray) -> list[pa.Array]:
    """Eligible actions of each round, from a list column or text separated by blanks, commas or bars."""
    if pa.types.is_list(column.type):
        return [pa.array([str(v) for v in row], pa.string()) for row in column.to_pylist()]
    rows = column.cast(pa.string()).to_pylist()
    return [pa.array((row or "").replace(",", " ").replace("|", " ").split(), pa.string()) for row in rows]


def spread(log: Log, path: Path, value: str, folder: Path, chunk: int) -> Callable[[int], NDArray]:
    """Split a long file by chunk of rounds on disk; returns a reader of a chunk's (row, action, value).

    A file without a column ``round`` holds for every round. Rounds that the log does not have are left out.

    Raises:
        UserError: a column is missing or not numeric.
    """
    chunks = -(-len(log.rounds) // chunk)
    folder.mkdir(parents=True)
    first, same = 0, False
    for table in batches(path):
        need(table, path, ("action", value))
        same = "round" not in table.column_names
        action, numeric = (
            _at(texts(table, "action").combine_chunks(), log.actions),
            numbers(table, path, value, first_row=first),
        )
        # an action that the log never saw is kept as −1: its mass is not supported
        row = np.zeros(len(action), np.int64) if same else _at(texts(table, "round").combine_chunks(), log.rounds)
        _append(folder, chunk, row, action, numeric)
        first += table.num_rows
    if same and chunks:
        return lambda number: _find_repeated(
            _load(folder / "0"), chunk * number, min(chunk, len(log.rounds) - chunk * number)
        )
    return lambda number: _load(folder / str(number))


def _append(folder: Path, chunk: int, row: Ints, action: Ints, value: Floats) -> None:
    records = np.empty(len(row), _RECORD)
    records["row"], records["action"], records["value"] = row, action, value
    records = records[row >= 0]
    of = records["row"] // chunk
    for number in np.unique(of):
        with (folder / str(number)).open("ab") as file:
            file.write(records[of == number].tobytes())


def _load(path: Path) -> NDArray:
    return np.fromfile(path, _RECORD) if path.exists() else np.zeros(0, _RECORD)


def _find_repeated(records: NDArray, first: int, count: int) -> NDArray:
    out = np.tile(records, count)
    out["row"] = np.repeat(np.arange(first, first + count), len(records))
    return out


def rounds(
    log: Log,
    policy: Callable[[int], NDArray],
    reward: Callable[[int], Callable[[Ints, Ints], Floats]],
    chunk: int,
    where: str,
) -> Iterator[Batch]:
    """Batches for the estimators.

    Args:
        log: the log.
        policy: reads a chunk of the evaluation policy.
        reward: gives, for a chunk, q̂ of (row, action) pairs.
        chunk: rounds a chunk.
        where: the policy's file, for messages.

    Raises:
        UserError: probabilities below 0, or adding up to more than 1, or an action twice.
    """
    seen = _mark_logged(log)
    for number in range(-(-len(log.rounds) // chunk)):
        first, last = number * chunk, min((number + 1) * chunk, len(log.rounds))
        rows = policy(number)
        rows = rows[np.lexsort((rows["action"], rows["row"]))]
        row, action, p = rows["row"] - first, rows["action"], rows["value"]
        _check_policy(row, action, p, last - first, log, first, where)
        q = reward(number)
        size = last - first
        known = action >= 0
        q_pi = _sum(row[known], p[known] * q(row[known] + first, action[known]), size)
        ids = np.arange(first, last)
        chosen = log.action[first:last]
        pi = np.zeros(size)
        hit = action == chosen[row]
        pi[row[hit]] = p[hit]
        lacking = ~_mark_supported(log, seen, row + first, action)
        unsupported = _sum(row[lacking], p[lacking], size)
        yield Batch(
            log.reward[first:last],
            log.pscore[first:last],
            pi,
            q(ids, chosen),
            q_pi,
            unsupported,
            log.cluster[first:last],
        )


def _sum(row: Ints, value: Floats, size: int) -> Floats:
    return np.bincount(row, value, size).astype(np.float64)


def _check_policy(row: Ints, action: Ints, p: Floats, size: int, log: Log, first: int, where: str) -> None:
    total = np.bincount(row, p, size)
    twice = (np.diff(row) == 0) & (np.diff(action) == 0) & (action[1:] >= 0)
    faults = (
        (p < 0, row, "a probability is below 0"),
        (total > 1 + 1e-6, np.arange(size), "probabilities add up to more than 1"),
        (np.append(twice, False), row, "an action is given twice"),
    )
    for wrong, rows, what in faults:
        if wrong.any():
            name = log.rounds[int(rows[np.flatnonzero(wrong)[0]]) + first].as_py()
            raise UserError(
                what, where=f"{where}, round {name}", remedy="give each round one distribution over actions"
            )


def _mark_logged(log: Log) -> NDArray[np.bool_]:
    """(positions, actions) whether an action was ever logged at a position."""
    table = np.zeros((int(log.position.max(initial=0)) + 1, len(log.actions)), bool)
    table[log.position, log.action] = True
    return table


def _mark_supported(log: Log, seen: NDArray[np.bool_], row: Ints, action: Ints) -> NDArray[np.bool_]:
    if log.eligible is None:
        return np.where(action >= 0, seen[log.position[row], np.maximum(action, 0)], False)
    mask = np.zeros(len(row), bool)
    starts = np.flatnonzero(np.append(True, np.diff(row) != 0)) if len(row) else np.zeros(0, np.int64)
    for start, stop in zip(starts, np.append(starts[1:], len(row)), strict=True):
        mask[start:stop] = np.isin(action[start:stop], log.eligible[row[start]])
    return mask
