"""What libraries would tell their makers, switched off: nothing that the product starts calls home.

An operator who wants it sets the variable to something else before; what is set is left as it is.
"""

from __future__ import annotations

import os

#: The switches of MLflow, Great Expectations (and all that heed `DO_NOT_TRACK`) and Airflow, as variables of a process.
SILENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}


def silence_telemetry() -> None:
    """Switch telemetry off in this process, and in those that it starts; before any of those libraries is imported."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
