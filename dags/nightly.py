"""# nightly: customers, products and channels, matched for tomorrow morning

**Purpose.** Take in what the interface feeds delivered until 04:00, and write the best product and channel for every
customer, with a proof; publish it before the shops open.
**Owner.** cpc-operations. **Tier.** 1: a slipped deadline stops the day's campaigns.

**Healthy.** All tasks green by 06:30 Shanghai; `prove` says *accepted*; quarantined records below each feed's threshold.
**Unhealthy, at 3 a.m.**
- `scan` or `ingest` red: read its last line; `cpc feeds status --date D` names the feed. Optional feeds never stop the night.
- `score` red with "no champion": `cpc models list`, then `cpc models rollback`. Clear the task.
- `prove` red: the plan was not published and last night's stays. Keep `$CPC_HOME/runs/<run_id>/`, call the owner.
- Anything else: clear the task. Every job replaces what it writes; running it again is always safe.
"""

import datetime
import json
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, get_current_context, task
from airflow.timetables.trigger import CronTriggerTimetable

SHANGHAI = "Asia/Shanghai"
STEPS = json.loads((Path(__file__).resolve().parent.parent / "conf" / "generated" / "night.json").read_text())[
    "nightly"
]


def run(job: str) -> dict:
    """Run one job for the run's decision date."""
    from runtime.runner import decision_date, run_task

    return run_task(job, decision_date(get_current_context()))


with DAG(
    dag_id="nightly",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 4 * * *", timezone=SHANGHAI),
    start_date=datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo(SHANGHAI)),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "cpc-operations", "retries": 0},
    tags=["tier-1", "cpc"],
):
    tasks = {step["job"]: task(task_id=step["job"], doc=step["purpose"])(run)(step["job"]) for step in STEPS}
    for step in STEPS:
        for before in step["after"]:
            tasks[before] >> tasks[step["job"]]
