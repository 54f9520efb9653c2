"""Drafts of what people write: ``python -m conf.scaffold feed|product|rule|… NAME`` (``make new-feed NAME=…``).

A draft is valid as it stands and changes nothing that is decided until it is edited: a feed waits for files, a
product is on sale from a date far ahead, a rule removes nothing, a limit is above what can be reached, a channel is
open to nobody, a job is in no run. What is written is loaded at once; if the catalogue would not load with it, the
draft is taken back.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from conf.catalogue import ROOT, Catalogue
from conf.dates import local_date
from conf.errors import UserError
from conf.offer import LARGEST_PRODUCT
from conf.settings import operator_root

FEED = """\
# A draft: edit, then `cpc feeds check`; files that match its name are loaded the next night.
code: {name}
label: {name}
source: name of the source system
service: hotline
dialect: verf
schema: {schema}
unit_code: "{unit}"
{holds}deadline: "03:00"
required: false
stand_in_days: 3
rows_per_1000: 5
owner: who answers for it
purpose: what it is used for (goes to the register of purposes)
"""
SCHEMA = """\
name: {name}
label: {name}
doc: what one record of {name} is
key: [record_no]
fields:
  - {{name: record_no, type: string, label: 流水, nullable: false, max_length: 32}}
  - {{name: msisdn, type: phone, label: 手机号码, nullable: false, personal: phone}}
  - {{name: happened_at, type: timestamp, label: 发生时间, nullable: false}}
  - {{name: topic, type: code, label: 主题, codes: topic}}
  - {{name: seconds, type: int, label: 时长, unit: s, minimum: 0, maximum: 86400}}
codes:
  topic: {{"1": 咨询, "2": 办理}}
conform:
  - entity: contact
    subject: msisdn
    event_time: happened_at
    columns: {{direction: "'in'", channel: "'10086'", topic: topic, reached: "true", seconds: cast(seconds as bigint)}}
"""
PRODUCT = """\
  # A draft: on sale from its launch date on; until its group's model has seen answers it starts from the group's
  - {{id: {id}, code: {name}, label: {name}, label_zh: {name}, group: {group}, price: 20, margin: 10.00,
     launch_date: 2099-01-01, attributes: {{{attributes}}}}}
"""
RULE = """\
  # A draft: removes nothing yet. Names it may use: docs/developer/entities.md and conf/generated/features.yml
  - {{name: {name}, removes: "false", reason: why the offer is not made, reason_zh: 不推荐的原因,
     declared: {today}}}
"""
GROUP = """\
  # A draft: no product is of it yet
  - {{id: {id}, code: {name}, label: {name}, label_zh: {name}}}
"""
LIMIT = """\
  # A draft: as many contacts as there are customers, so that it binds nowhere
  - {{name: {name}, label: {name}, label_zh: {name}, at_most: 1000000, where: {{channel: {channel}}}, scale_with_customers: true}}
"""
CHANNEL = """\
  # A draft: open to nobody while `eligible` is false
  - {{id: {id}, code: {name}, label: {name}, label_zh: {name}, direction: outbound, cost: 0.10, block_days: 7, eligible: "false"}}
"""
JOB = '''\
"""Counts what tonight's plan does on each channel (a draft: say here what the job is for).

*Reads* assignment. *Writes* {name}. *Cost* one pass over tonight's plan.
"""

from __future__ import annotations

from typing import ClassVar

import pyarrow.compute as pc

from runtime.figures import JobFigures
from runtime.night import Night

READS = ("assignment",)
WRITES = ("{name}",)


class {title}Figures(JobFigures):
    """Rows written, and the contacts that they count."""

    job: ClassVar[str] = "{name}"
    rows: int | None
    contacts: int | None


def run(night: Night) -> {title}Figures:
    """One row a channel that the plan uses."""
    plan = night.lake.arrow("assignment", partition=night.partition, columns=["channel"])
    chosen = plan.filter(pc.is_valid(plan["channel"]))
    rows = chosen.group_by("channel").aggregate([([], "count_all")]).rename_columns(["channel", "contacts"])
    written = night.lake.replace_arrow("{name}", rows.sort_by("channel"), partition=night.partition)
    return {title}Figures(rows=written, contacts=chosen.num_rows)
'''
TABLE = """\
name: {name}
row: "a channel that the plan of a night uses"
writer: {name}
kind: operation
key: [business_date, channel]
partition_by: [business_date]
retention_days: 400
columns:
  - {{name: business_date, type: 'date', doc: "decision date", nullable: false}}
  - {{name: channel, type: 'smallint', doc: "channel id", nullable: false}}
  - {{name: contacts, type: 'bigint', unit: count, doc: "contacts planned", nullable: false}}
"""
JOB_TEST = '''\
"""The job `{name}` over a night made by hand."""

from __future__ import annotations

from jobs import {name}
from tests.nights.published import assigned, put


def test_it_counts_what_the_plan_has(night):
    tonight = night()
    plan = assigned(tonight, "r")
    put(tonight, "assignment", plan, tonight.partition)
    figures = {name}.run(tonight)
    rows = tonight.lake.arrow("{name}", partition=tonight.partition)
    assert sum(rows["contacts"].to_pylist()) == figures.contacts == sum(r["channel"] is not None for r in plan)
'''
FAMILY = """\
# A draft: one input, one feature ({name}_events_count_30d). `cpc features check` runs its boundary example.
family: {name}
label_zh: {name}
doc: what these features tell of a customer
source: contact
owner: who answers for it
inputs:
  - {{name: {name}_events, where: "direction = 'in'", unit: contact, label_zh: 来访, doc: what is counted,
     example: {{row: {{direction: in}}, value: 1}}, features: {{count: [30]}}}}
"""


def feed(name: str, root: Path) -> dict[Path, str]:
    """A feed with the next free unit code, and a schema of the same name if there is none."""
    catalogue = Catalogue(root)
    if name in catalogue.feeds:
        raise _report_taken("feed", name, root / "feeds")
    drafts = _feed(name, name, catalogue)
    if name not in catalogue.schemas:
        drafts[root / "schemas" / f"{name}.yml"] = SCHEMA.format(name=name)
    return drafts


def _feed(name: str, schema: str, catalogue: Catalogue, holds: str = "") -> dict[Path, str]:
    units = [int(known.unit_code) for known in catalogue.feeds.values() if known.service == "hotline"]
    text = FEED.format(name=name, schema=schema, unit=max(units, default=20000) + 1, holds=holds)
    return {catalogue.root / "feeds" / "hotline" / f"{name}.yml": text}


def product(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of products.yml with the next free id and every attribute that rules may name."""
    catalogue = Catalogue(root)
    products = catalogue.products
    if name in {known.code for known in products}:
        raise _report_taken("product", name, root / "products.yml")
    number = max((known.id for known in products), default=-1) + 1
    if number > LARGEST_PRODUCT:
        raise UserError(
            f"no id is left: the largest is {LARGEST_PRODUCT}",
            where=str(root / "products.yml"),
            remedy="retire one: its id can be reused",
        )
    attributes = ", ".join(f"{key}: 0" for key in dict.fromkeys(key for known in products for key in known.attributes))
    path, group = root / "products.yml", products[-1].group if products else catalogue.groups[0].code
    return {path: _after(path, PRODUCT, id=number, name=name, group=group, attributes=attributes)}


def group(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of groups.yml with the next id."""
    groups = Catalogue(root).groups
    if name in {known.code for known in groups}:
        raise _report_taken("group", name, root / "groups.yml")
    number = max((known.id for known in groups), default=-1) + 1
    return {root / "groups.yml": _after(root / "groups.yml", GROUP, id=number, name=name)}


def limit(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of limits.yml, on the first channel."""
    catalogue = Catalogue(root)
    if name in {known.name for known in catalogue.limits}:
        raise _report_taken("limit", name, root / "limits.yml")
    return {root / "limits.yml": _after(root / "limits.yml", LIMIT, name=name, channel=catalogue.channels[0].code)}


def channel(name: str, root: Path) -> dict[Path, str]:
    """A row in channels.yml, its capacity in limits.yml, and the feed of its results where there is their interface."""
    catalogue = Catalogue(root)
    if name in {known.code for known in catalogue.channels}:
        raise _report_taken("channel", name, root / "channels.yml")
    if f"{name}_day" in {known.name for known in catalogue.limits} or f"{name}_result" in catalogue.feeds:
        raise _report_taken("limit or feed of a channel", name, root)
    channels, limits = root / "channels.yml", root / "limits.yml"
    drafts = {
        channels: _after(channels, CHANNEL, id=len(catalogue.channels), name=name),
        limits: _after(limits, LIMIT, name=f"{name}_day", channel=name),
    }
    if "contact_result" in catalogue.schemas:
        holds = f"holds: {{attempt_channel: [{name}]}}\n"
        drafts |= _feed(f"{name}_result", "contact_result", catalogue, holds)
    return drafts


def job(name: str, root: Path) -> dict[Path, str]:
    """A module of jobs, the table that it writes, and its test; no run has it until RUNS names it."""
    house = root.parent
    drafts = {
        house / "jobs" / f"{name}.py": JOB.format(name=name, title="".join(map(str.capitalize, name.split("_")))),
        root / "tables" / f"{name}.yml": TABLE.format(name=name),
        house / "tests" / "jobs" / f"test_{name}.py": JOB_TEST.format(name=name),
    }
    for path in drafts:
        if path.exists():
            raise _report_taken("job or table", name, path)
    return drafts


def rule(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of rules.yml."""
    if name in {known.name for known in Catalogue(root).rules}:
        raise _report_taken("rule", name, root / "rules.yml")
    return {root / "rules.yml": _after(root / "rules.yml", RULE, name=name, today=_today())}


def _today() -> str:
    """Today's date in Shanghai: from it `rule_to_night_days` counts."""
    return local_date(dt.datetime.now(dt.UTC)).isoformat()


def feature(name: str, root: Path) -> dict[Path, str]:
    """A family of features in a file of its own."""
    path = Catalogue(root).features_folder / f"{name}.yml"
    if path.exists():
        raise _report_taken("family of features", name, path)
    return {path: FAMILY.format(name=name)}


KINDS: dict[str, Callable[[str, Path], dict[Path, str]]] = {
    "feed": feed,
    "product": product,
    "group": group,
    "rule": rule,
    "limit": limit,
    "channel": channel,
    "feature": feature,
    "job": job,
}


def draft(kind: str, name: str, root: Path = ROOT) -> list[Path]:
    """Write the drafts of ``kind`` and load the catalogue with them.

    Returns:
        the files written or extended.

    Raises:
        UserError: the name does not fit or is taken; nothing is written then.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(
            f"{name!r} cannot be a name", where="NAME", remedy="small letters, digits and _, a letter first"
        )
    drafts = KINDS[kind](name, root)
    before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in drafts}
    for path, text in drafts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    try:
        loaded = Catalogue(root)
        _ = loaded.feeds, loaded.products, loaded.channels, loaded.rules, loaded.limits, loaded.tables
    except UserError:
        for path, old in before.items():
            path.unlink() if old is None else path.write_text(old, encoding="utf-8")
        raise
    return list(drafts)


def _report_taken(kind: str, name: str, where: Path) -> UserError:
    return UserError(f"there is a {kind} {name!r} already", where=str(where), remedy="choose another name, or edit it")


def _after(path: Path, row: str, **values: object) -> str:
    text = path.read_text(encoding="utf-8") if path.exists() else f"{path.stem}:\n"
    return text.rstrip("\n") + "\n" + row.format(**values)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 done, 2 something to mend."""
    parser = argparse.ArgumentParser(prog="python -m conf.scaffold", description=__doc__)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("name", nargs="?", default="", help="NAME, small letters, digits and _")
    chosen = parser.parse_args(arguments)
    try:
        written = draft(chosen.kind, chosen.name, operator_root())
    except UserError as error:
        sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
        return 2
    for path in written:
        sys.stdout.write(f"{path.relative_to(ROOT.parent) if path.is_relative_to(ROOT.parent) else path}\n")
    sys.stdout.write(f"edit it as docs/howto/{chosen.kind}.md shows\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
