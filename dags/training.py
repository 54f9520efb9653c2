"""# training: learn from what came of past decisions, weekly or when the model drifts

**Purpose.** Attribute matured outcomes to decisions, train the affinity model on them, register it in MLflow.
**Owner.** cpc-science. **Tier.** 2: the last champion keeps serving while this is red.

**Healthy.** Most days both tasks are skipped: a model was trained within the week and no check of it failed. A new version
in the registry each week, or within days of an alarm in `ops_quality`; it becomes champion only through the gate.
**Unhealthy.**
- `feedback` red: results are missing or late; `cpc feeds status --date D` names the feed. Clear the task later.
- `train` red with "one class": no conversion has matured yet; nothing to do, the champion stays.
"""

import datetime
import json
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, get_current_context, task
from airflow.timetables.trigger import CronTriggerTimetable

SHANGHAI = "Asia/Shanghai"
STEPS = json.loads((Path(__file__).resolve().parent.parent / "conf" / "generated" / "night.json").read_text())[
    "training"
]


def run(job: str) -> dict:
    """Run one job for the run's decision date where training is due."""
    from airflow.sdk.exceptions import AirflowSkipException

    from models.lifecycle.training_schedule import why
    from runtime.runner import decision_date, run_task

    date = decision_date(get_current_context())
    if not why(date):
        raise AirflowSkipException("a model was trained within the week, and nothing drifted since")
    return run_task(job, date)


with DAG(
    dag_id="training",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 10 * * *", timezone=SHANGHAI),
    start_date=datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo(SHANGHAI)),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "cpc-science", "retries": 0},
    tags=["tier-2", "cpc"],
):
    tasks = {step["job"]: task(task_id=step["job"], doc=step["purpose"])(run)(step["job"]) for step in STEPS}
    for step in STEPS:
        for before in step["after"]:
            tasks[before] >> tasks[step["job"]]
