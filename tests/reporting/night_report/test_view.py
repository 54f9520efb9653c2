import datetime as dt
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from conf.errors import UserError
from jobs import publish
from reporting.night_report import charts, marker, render
from reporting.night_report.facts import PlanFacts, count_plan, gather, limit_rows
from reporting.night_report.view import (
    change,
    limit_section,
    losses,
    price,
    tell_value,
    view,
    yuan,
)
from runtime.figures import AssignFigures
from runtime.lake import arrow_schema, nullable
from runtime.run_record import NightRecord
from serving import publication

GOOD = {"accepted": True, "gap": 3.1e-5}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_a_plan_is_counted_the_same_in_any_batches():
    rows = pa.table(
        {
            "role": ["exploit", "control", "explore", "exploit"],
            "product": pa.array([3, None, 3, 4], pa.int16()),
            "channel": pa.array([1, None, 1, 0], pa.int16()),
            "value_micro": [10, 0, 5, 7],
            "reason": ["a", "b", "a", "a"],
        }
    )
    whole, single = count_plan(rows.to_batches()), count_plan(rows.to_batches(max_chunksize=1))
    assert whole == single
    assert whole.customers == 4
    assert whole.arcs == Counter({(3, 1): 2, (4, 0): 1})
    assert whole.value_micro == 22
    assert whole.by(0) == {3: 2, 4: 1}


@pytest.mark.whole
def test_the_page_stands_alone_and_shows_the_night(planned):
    night = planned(verdict=GOOD)
    publish.run(night)
    page = (publication.publication_folder(night) / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    for words in ("sms_day", "短厅日发送量", "0.42", "0.003 %", "+7.1%", "客户拒绝营销", "accepted 通过"):
        assert words in page, words
    plan = view(gather(night, "r"), night.catalogue, "", operational=False)["plan"]
    assert "Agent call 人工外呼" in plan["channels"]


@pytest.mark.whole
def test_the_night_before_is_compared_where_there_is_one(planned):
    publish.run(planned(dt.date(2026, 1, 8), verdict=GOOD))
    night = planned(verdict=GOOD)
    publish.run(night)
    facts = gather(night, "r")
    shown = view(facts, night.catalogue, "", operational=False)
    rows = {row[1].split(" ")[0]: row[2:] for row in shown["yesterday"]}
    assert rows["customers"] == ("240", "240", "+0.0%")
    alone = view(gather(planned(dt.date(2026, 1, 5), verdict=GOOD), "r"), night.catalogue, "", operational=False)
    assert alone["yesterday"] == []


def test_a_night_that_was_left_out_is_no_night_before(planned):
    planned(dt.date(2026, 1, 7), verdict=GOOD)
    facts = gather(planned(verdict=GOOD), "r")
    assert facts.before.customers == 240
    assert facts.record_before.read(AssignFigures).gap == GOOD["gap"]
    assert all(row["price_before"] is not None for row in facts.limits)


def test_only_the_operational_part_depends_on_the_clock(planned):
    night = planned(verdict=GOOD)
    facts = gather(night, "r")
    jobs = {job: replace(record, seconds=record.seconds + 1.5) for job, record in facts.record.jobs.items()}
    facts = replace(facts, record=NightRecord(jobs))
    assert render(gather(night, "r"), night) != render(facts, night)
    assert render(gather(night, "r"), night, operational=False) == render(facts, night, operational=False)


def test_a_rate_is_the_clock_s_too(planned):
    night = planned(verdict=GOOD)
    facts = gather(night, "r")
    figures = {"arcs": 40, "arcs_per_second": 7}
    score = replace(facts.record.jobs["assign"], job="score", figures=figures)
    facts = replace(facts, record=NightRecord({"score": score}))
    assert view(facts, night.catalogue, "", operational=False)["model"]["score"] == [("arcs scored 评分组合", 40)]


def test_text_from_outside_is_escaped(planned):
    night = planned(verdict=GOOD)
    facts = gather(night, "<script>alert(1)</script>")
    facts.plan.reasons["<img src=x onerror=alert(1)>"] = 1000
    page = render(facts, night)
    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>" not in charts.bars([("<b>x", 1.0, "<b>")], label="<b>")


def test_charts_hold_at_the_edges():
    assert "0" in charts.bars([("none", 0.0, "")], label="nothing")
    assert "var(--red)" in charts.meter(3, 9, floor=True)
    assert "var(--green)" in charts.meter(9, 9, floor=True)
    assert "var(--amber)" in charts.meter(9, 9, floor=False)
    assert "var(--blue)" in charts.meter(0, 0, floor=False)
    assert charts.heat([], [], [], label="empty").startswith("<svg")
    assert charts.calibration([(0.1, 0.1, 5.0)], label="c").count("<circle") == 1
    assert [charts.short(v) for v in (0, 12, 1234, 56789, 4.5e6, 0.25)] == [
        "0",
        "12",
        "1,234",
        "56.8 k",
        "4.5 M",
        "0.25",
    ]


def test_figures_are_said_plainly():
    assert change(110, 100) == "+10.0% vs last night 较前夜"
    assert change(110, 0) == "no night before 无前夜"
    assert [price(v) for v in (0, 0.42, -1.5, 0.0004)] == ["0", "0.42", "-1.50", "0.0004"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent: install it, or run .ci/run")
def test_a_browser_shows_the_page(planned, tmp_path):
    from playwright.sync_api import sync_playwright

    publish.run(planned(dt.date(2026, 1, 8), verdict=GOOD))
    night = planned(verdict=GOOD)
    publish.run(night)
    asked, faults = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto((publication.publication_folder(night) / "report.html").as_uri())
        page.screenshot(path=tmp_path / "report.png", full_page=True)
        assert len(asked) == 1  # nothing but the page itself
        assert faults == []
        assert page.locator(".tile").count() == 8
        assert page.evaluate("document.documentElement.scrollWidth") <= 1240
        for section in ("plan", "limits", "funnel", "feeds", "campaign", "trend", "goals", "yesterday"):
            box = page.locator(f"#{section}").bounding_box()
            assert box["height"] > 80, section
        page.set_viewport_size({"width": 390, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("#plan .wide svg").first.bounding_box()["width"] >= 500  # scrolled, not shrunk
        shrunk = """[...document.querySelectorAll(".wide svg")].filter(chart => chart.getBoundingClientRect().width
            && chart.getBoundingClientRect().width < 0.8 * chart.viewBox.baseVal.width && chart.viewBox.baseVal.width > 200)
            .map(chart => chart.getAttribute("aria-label"))"""
        assert page.evaluate(shrunk) == []  # seen: the funnel at half its size, feeds at a quarter
        columns = """[...document.querySelectorAll("#limits th, #trend th, #goals th, #yesterday th")].filter(head =>
            head.checkVisibility() && head.getBoundingClientRect().right > 390).map(head => head.textContent)"""
        assert page.evaluate(columns) == []
        names = """[...document.querySelectorAll("svg")].flatMap(chart => [...chart.querySelectorAll("text")].filter(name =>
            name.getBBox().x < 0 || name.getBBox().x + name.getBBox().width > chart.viewBox.baseVal.width + 1)
            .map(name => name.textContent))"""
        assert page.evaluate(names) == []  # no label is cut
        browser.close()
    assert (tmp_path / "report.png").stat().st_size > 50_000


def test_the_last_training_is_shown_with_its_calibration(planned):
    import json

    night = planned(verdict=GOOD)
    kept = night.lake.arrow("ops_run", partition=night.partition).to_pylist()
    figures = {
        "auc": 0.7312,
        "calibration": "isotonic",
        "version": "3",
        "keep_seconds": 1.5,
        "reliability": [
            {"predicted": 0.01, "observed": 0.012, "weight": 900.0},
            {"predicted": 0.05, "observed": 0.04, "weight": 100.0},
        ],
    }
    row = {**kept[0], "job": "train", "figures": json.dumps(figures)}
    rows = pa.Table.from_pylist([*kept, row], schema=night.lake.arrow("ops_run").schema)
    night.lake.replace_arrow("ops_run", rows, partition=night.partition)
    model = view(gather(night, "r"), night.catalogue, "", operational=False)["model"]
    words = {"AUC, contacts 触达AUC": "0.7312", "calibration 校准方式": "isotonic", "version 版本": "3"}
    assert dict(model["figures"]) == words
    assert model["calibration"].count("<circle") == 2


def test_contacts_at_a_loss_are_told_with_what_asks_for_them_and_what_they_cost():
    assign = AssignFigures.load(
        {"at_a_loss": {"share": 459, "learn": 73}, "loss_yuan": {"share": 21.965, "learn": 6.0}}
    )
    rows = losses(assign, lambda code: f"why {code}")
    assert rows == [("why share", 459, yuan(21_965_000)), ("why learn", 73, yuan(6_000_000))]
    assert losses(AssignFigures.load({}), str) == []


class Numbers(HTMLParser):
    """Walks a page: texts with a digit that stand in no declared figure and in no name, and the figures it marks."""

    VOID = {"meta", "br", "img"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict]] = []
        self.loose: list[str] = []
        self.marked: set[str] = set()

    def handle_starttag(self, tag, attrs):
        marks = dict(attrs)
        self.marked |= {marks["data-figure"]} if "data-figure" in marks else set()
        if tag not in self.VOID:
            self.open.append((tag, marks))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        inside = any(
            "data-figure" in marks or "data-name" in marks or tag in {"style", "title"} for tag, marks in self.open
        )
        if re.search(r"\d", data) and not inside:
            self.loose.append(data.strip())


def test_every_number_on_the_page_is_a_declared_figure(planned):
    put_decisions = planned(dt.date(2026, 1, 8), verdict=GOOD)
    publish.run(put_decisions)
    night = planned(verdict=GOOD)
    publish.run(night)
    walked = Numbers()
    walked.feed((publication.publication_folder(night) / "report.html").read_text(encoding="utf-8"))
    assert walked.loose == []
    assert walked.marked <= set(night.catalogue.figures)
    assert {"contacts", "certified_gap", "role_customers", "limit_price", "roi"} <= walked.marked
    strange = Numbers()
    strange.feed("<p data-figure='roi'>7</p><p>and 12 more</p>")
    assert strange.loose == ["and 12 more"]


def test_a_figure_that_is_not_declared_cannot_be_shown(planned):
    night = planned(verdict=GOOD)
    figures = dict(night.catalogue.figures)
    assert 'data-figure="roi"' in marker(figures)("roi")
    del figures["roi"]
    with pytest.raises(UserError, match="'roi' is not declared"):
        marker(figures)("roi")


def test_the_page_says_what_stands_out(planned):
    night = planned(verdict=GOOD)
    facts = gather(night, "r")
    facts.plan.arcs.clear()
    facts.plan.arcs.update({(3, 1): 72, (4, 1): 28})
    texts = [remark["text"] for remark in view(facts, night.catalogue, "", operational=False)["plan"]["remarks"]]
    assert texts[0].startswith("72.0% of contacts are one product 触达集中于: ")
    assert "Account manager 客户经理" in texts[1]
    facts.plan.arcs.update({(4, 1): 90})
    view(facts, night.catalogue, "", operational=False)


def test_no_label_of_a_chart_is_cut():
    name = "A product with quite a long name 名称很长的一个产品 and then some more"
    for chart in (charts.bars([(name, 1.0, "")], label="l"), charts.heat([name], ["a"], [[1.0]], label="l")):
        assert name in chart
        assert float(re.search(r'<text x="([\d.]+)"[^>]*>A product', chart)[1]) > 6.8 * 50


def test_a_limit_is_shown_whole_in_its_unit_with_its_cost(planned):
    """Explorers' use counts, money is in 元, the dearest limit comes first; a row of an older release has no cost."""
    night = planned(verdict=GOOD)
    older = {row["name"]: row for row in limit_section(limit_rows(night))["rows"]}["sms_day"]
    assert (older["used"], older["amount"], older["cost"]) == ("60", "60", "–")
    old = night.lake.arrow("limit_price", partition=night.partition).to_pylist()
    shown = {"used": 374_810_000, "used_explore": 12_820_000, "unit": "micro-yuan", "amount": 388_680_000}
    shown |= {"shown_unit": "元", "shown_amount": 388.68, "shown_used": 387.63, "shown_price_yuan": 0.1786}
    budget = old[0] | shown | {"limit": "budget_day", "price_yuan": 1.786e-07, "cost_micro": 12_782_323}
    schema = nullable(arrow_schema(night.lake.table("limit_price")))
    seen = budget | {"limit": "watched", "cost_micro": 0, "price_yuan": 0.0, "reported_only": True}
    rows = pa.Table.from_pylist([*old, budget, seen], schema=schema)
    night.lake.replace_arrow("limit_price", rows, partition=night.partition)
    first = limit_section(limit_rows(night))["rows"][0]
    assert (first["name"], first["used"], first["amount"], first["unit"]) == ("budget_day", "387.63", "388.68", "元")
    assert (first["price"], first["cost"]) == ("0.18", "12.78")
    by_name = {row["name"]: row for row in limit_section(limit_rows(night))["rows"]}
    assert [name for name, row in by_name.items() if row["reported_only"]] == ["watched"]


def test_beside_the_value_stand_its_interval_and_what_was_paid_to_learn():
    plan, before = PlanFacts(value_micro=957_000_000), PlanFacts(value_micro=1_282_000_000)
    ends = {"value_low_yuan": 700.4, "value_high_yuan": 1200.0, "learning_yuan": 56.154}
    words = tell_value(plan, before, AssignFigures.load(ends))
    assert words == "95 %: 700.40 元 … 1,200 元; paid to learn 学习成本 56.15 元; -25.4% vs last night 较前夜"
    assert tell_value(plan, before, AssignFigures.load({})) == "-25.4% vs last night 较前夜"
