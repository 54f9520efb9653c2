"""The verdict: Great Expectations judges all checks of a load in one validation.

Each kind of check is two expectations, *observed ≥ low* and *high ≥ observed*; what is not observed or has no bound is
left out. One validation of some thousand rows takes a second, where a validation a suite would take minutes. Every
kind has columns of its own: a condition on rows would be a query of the frame a metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

SUITE = "load"


@dataclass(frozen=True)
class Verdict:
    """What came of a validation.

    Attributes:
        checks: the frame of checks with a boolean column ``success``.
        context: the Great Expectations context that holds suite and result, for Data Docs.
    """

    checks: pd.DataFrame
    context: Any


def judge(checks: pd.DataFrame) -> Verdict:
    """Validate a frame of checks (see ``measure.frame``).

    Returns:
        the same rows with ``success``; a check that could not be judged succeeds.
    """
    import great_expectations as gx

    context = quiet_context()
    batches = context.data_sources.add_pandas(SUITE).add_dataframe_asset("checks")
    definition = batches.add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=SUITE, expectations=bounds(sorted(set(checks["kind"])))))
    validation = context.validation_definitions.add(gx.ValidationDefinition(name=SUITE, data=definition, suite=suite))
    data = by_kind(checks)
    result = validation.run(
        batch_parameters={"dataframe": data},
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
    )
    failed: set[int] = set()
    for single in result.results:
        if single.exception_info and single.exception_info.get("raised_exception"):
            raise RuntimeError(f"an expectation could not be evaluated: {single.exception_info}")
        failed |= {int(item["row"]) for item in single.result.get("unexpected_index_list") or ()}
    success = [row not in failed for row in range(len(checks))]
    return Verdict(checks.assign(success=success), context)


def by_kind(checks: pd.DataFrame) -> pd.DataFrame:
    """The numbers of every kind in columns of its own, NaN in the rows of others; ``row`` is the row of ``checks``."""
    columns: dict[str, Any] = {"row": range(len(checks))}
    for kind in sorted(set(checks["kind"])):
        of_kind = checks["kind"] == kind
        columns |= {f"{kind} {name}": checks[name].where(of_kind) for name in ("observed", "low", "high")}
    return pd.DataFrame(columns)


def bounds(kinds: list[str]) -> list[Any]:
    """Two expectations a kind: nothing lies under its low bound, nothing over its high one."""
    import great_expectations.expectations as gxe

    made = []
    for kind in kinds:
        for upper, lower, side in (("observed", "low", "low"), ("high", "observed", "high")):
            made.append(
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A=f"{kind} {upper}",
                    column_B=f"{kind} {lower}",
                    or_equal=True,
                    ignore_row_if="either_value_is_missing",
                    meta={"kind": kind, "side": side},
                )
            )
    return made


def quiet_context() -> Any:
    """A context in memory: no progress bars, and nothing is told to anyone outside."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        analytics_enabled=False,
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)
