"""Figures of run records in words of both languages."""

from __future__ import annotations

import re

from reporting.night_report.view import CLOCKED
from reporting.night_report.words import WORDS
from runtime.figures import ScoreFigures, TrainFigures
from runtime.night_order import RUNS


def test_every_figure_and_job_that_the_page_names_has_words_in_both_languages() -> None:
    shown = [*TrainFigures.model_fields, *ScoreFigures.model_fields]
    shown = [name for name in shown if name != "reliability" and not any(part in name for part in CLOCKED)]
    jobs = [job for run in RUNS.values() for job in run]
    wanting = [name for name in (*shown, *jobs) if not re.search("[\u4e00-\u9fff]", WORDS.get(name, ""))]
    assert wanting == []
