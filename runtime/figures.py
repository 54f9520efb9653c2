"""What each job says of its run: the figures of the run record (``ops_run.figures``), typed.

They are a contract between the job that writes them and the rooms that read them (the night report, KPIs, the release
gate, the command line), so they lie below both, beside the run record. A job must give every figure without a default;
a record of an older release lacks some, which are None when it is read. Their names are those of the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


class JobFigures(BaseModel):
    """Figures of a job; of one that was not done anew, none."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    job: ClassVar[str] = ""

    @classmethod
    def load(cls, record: Mapping[str, Any]) -> Self:
        """From a record of any release: what it does not have is None, what only it has is left out."""
        return cls.model_validate({name: record.get(name) for name in cls.model_fields})

    def as_json(self) -> dict[str, Any]:
        """What the record keeps, in order; a figure that not every run has is left out where it is None."""
        fields = type(self).model_fields
        return {
            name: value for name, value in self.model_dump().items() if value is not None or fields[name].is_required()
        }

    def simple(self) -> dict[str, int | float | str]:
        """The figures that are a number or a word."""
        return {name: value for name, value in self.as_json().items() if isinstance(value, int | float | str)}

    @property
    def served_by_less(self) -> str | None:
        """Why the job is done but not as it should be; None where it is."""
        return None


class Failure(JobFigures):
    """What a job that failed leaves."""

    error: str | None


class UpgradeFigures(JobFigures):
    """What the tables of an older release lacked."""

    tables: int
    columns: int
    files: int


class ScanFigures(JobFigures):
    """Files that lie in the landing folder, by state."""

    job: ClassVar[str] = "scan"
    files: int | None
    ready: int | None
    waiting: int | None
    refused: int | None
    unknown: int | None
    dates: int | None


class IngestFigures(JobFigures):
    """What was loaded."""

    job: ClassVar[str] = "ingest"
    files: int | None
    deliveries: int | None
    rows: int | None
    quarantined: int | None
    bytes: int | None
    late: int | None
    replaced: int | None
    refused: int | None
    waiting: int | None
    codes: dict[str, int] | None


class QualityFigures(JobFigures):
    """What was checked, and what failed."""

    job: ClassVar[str] = "quality"
    deliveries: int | None
    checks: int | None
    failed: int | None
    warned_feeds: int | None
    model_alarms: list[str] | None
    feature_alarms: list[str] | None
    stopped_feeds: list[str] | None
    behind: list[str] | None
    held_back: dict[str, int] | None


class ConformFigures(JobFigures):
    """What was conformed."""

    job: ClassVar[str] = "conform"
    rows: int | None
    rows_by_entity: dict[str, int] | None
    dates: int | None
    owners_of_numbers: int | None
    unmatched: int | None
    unmatched_by_feed: dict[str, int] | None
    incomplete_by_feed: dict[str, int] | None
    repeated_by_feed: dict[str, int] | None
    lost_by_feed: dict[str, int] | None
    refusals_without_owner: dict[str, int] | None


class PartialsFigures(JobFigures):
    """Which partials were folded anew."""

    job: ClassVar[str] = "partials"
    families: int | None
    families_rebuilt: int | None
    nights_rebuilt: int | None
    rows: int | None


class SnapshotFigures(JobFigures):
    """The snapshots written; ``customers`` are those of the last date."""

    job: ClassVar[str] = "snapshot"
    dates: int | None
    features: int | None
    rows: int | None
    customers: int | None
    drifted: list[str] | None
    families_stale: dict[str, int] | None
    families_unknown: list[str] | None


class EligibilityFigures(JobFigures):
    """What the rules left."""

    job: ClassVar[str] = "eligibility"
    customers: int | None
    rules: int | None
    customers_with_an_arc: int | None
    customers_with_an_outbound_arc: int | None
    arcs: int | None
    arcs_considered: int | None
    outbound_stopped: str | None = None

    @property
    def served_by_less(self) -> str | None:
        """Which refusals without owner stopped all outbound contacts."""
        return f"no outbound contact tonight: {self.outbound_stopped}" if self.outbound_stopped else None


class ScoreFigures(JobFigures):
    """What was scored and kept, by which model, at the prices of which night."""

    job: ClassVar[str] = "score"
    customers: int | None
    arcs: int | None
    kept: int | None
    without_snapshot: int | None
    model_version: str | None
    model_sha256: str | None
    prices_of: str | None
    degraded: str | None = None
    arcs_per_second: int | None = None

    @property
    def served_by_less(self) -> str | None:
        """Why the model in the registry did not score."""
        return self.degraded


class AssignFigures(JobFigures):
    """The plan, its proof, what it is compared with, and what it takes from the night before."""

    job: ClassVar[str] = "assign"
    customers: int | None
    contacts: int | None
    gap: float | None
    value_yuan: float | None
    lift: float | None
    lift_caps_only: float | None
    lift_no_budget: float | None
    baseline_breaks: list[str] | None
    lift_customers: int | None
    without_shares_yuan: float | None
    baseline_yuan: float | None
    caps_only_yuan: float | None
    baseline_caps_only_yuan: float | None
    primal: int | None
    bound: int | None
    passes: int | None
    method: str | None
    bound_claimed: int | None
    solve_seconds: float | None
    by_channel: dict[str, int] | None
    by_role: dict[str, int] | None
    explored: int | None
    withdrawn: int | None
    arcs: int | None
    moved: int | None
    offers: int | None
    binding: int | None
    warnings: list[str] | None
    churn: float | None
    churn_unchanged: float | None
    unchanged: int | None
    learning_yuan: float | None
    control_yuan: float | None
    explored_known: int | None
    alternates: int | None
    taken_back: int | None
    pruning_passes: int | None
    pruning: str | None = None
    pruning_loss: float | None = None
    #: By reason, contacts whose mean value is negative and what they cost.
    at_a_loss: dict[str, int] | None = None
    loss_yuan: dict[str, float] | None = None
    #: The last night whose control was drawn for a calendar year, empty where there was none; None before release 0.3.
    control_yearly_until: str | None = None
    #: Contacts whose propensity hangs on a tie or on the repair.
    marginal: int | None = None
    #: Ends of the 95 % interval of the value; none where the model keeps no late days to resample.
    value_low_yuan: float | None = None
    value_high_yuan: float | None = None
    #: Value of the night before, by cause what changed since (adds up to the change), and what cannot be told, in words.
    value_before_micro: int | None = None
    change_micro: dict[str, int] | None = None
    change_note: str | None = None
    #: By channel, arcs of those who may explore: eligible, kept, supported (a draw can give them).
    support: dict[str, dict[str, int]] | None = None


class ProveFigures(JobFigures):
    """What the independent checker says of the plan, and how far it is from the best over all arcs."""

    job: ClassVar[str] = "prove"
    verdict: str | None
    accepted: bool | None
    gap: float | None
    bound: int | None
    primal: int | None
    customers: int | None
    planned: int | None
    arcs: int | None
    gap_micro_a_customer: float | None
    sha256: str | None
    covers: str | None
    all_arcs: str | None = None
    bound_all_arcs: int | None = None
    arcs_all: int | None = None
    gap_all_arcs: float | None = None
    pruning_loss: float | None = None
    published: str | None = None
    contacts: int | None = None
    published_bound: int | None = None
    reason: str | None = None


class PublishFigures(JobFigures):
    """What went where; a target that was not asked for has no figure."""

    job: ClassVar[str] = "publish"
    run_id: str | None
    contacts: int | None
    withdrawn: int | None
    without_number: int | None = None
    files: int | None = None
    store_rows: int | None = None
    store_warning: str | None = None
    report: str | None = None
    kpis: int | None


class FeedbackFigures(JobFigures):
    """Outcomes brought up to date; where no date was open, the dates alone."""

    job: ClassVar[str] = "feedback"
    dates: int | None
    settled: int | None
    decisions: int | None = None
    offers: int | None = None
    converted: int | None = None
    reversed: int | None = None
    opted_out: int | None = None
    complained: int | None = None
    matured: int | None = None
    margin_micro: int | None = None


class TrainFigures(JobFigures):
    """What was learnt."""

    job: ClassVar[str] = "train"
    version: str | None
    decisions: int | None
    contacts: int | None
    sampled: int | None
    features: int | None
    left_out: int | None
    not_yet: list[str] | None
    auc: float | None
    auc_within: float | None
    ratio: float | None
    lift: float | None
    calibration: str | None
    reliability: list[dict[str, float]] | None
    train_seconds: float | None
    keep_seconds: float | None
