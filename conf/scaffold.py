"""Drafts of what people write: ``python -m conf.scaffold feed|product|rule|feature NAME`` (``make new-feed NAME=…``).

A draft is valid as it stands and changes nothing that is decided until it is edited: a feed waits for files, a
product is on sale from a date far ahead, a rule removes nothing. What is written is loaded at once; if the catalogue
would not load with it, the draft is taken back.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from conf.catalogue import ROOT, Catalogue
from conf.errors import MendableError

FEED = """\
# A draft: edit, then `cpc feeds check`; files that match its name are loaded the next night.
code: {name}
label: {name}
source: name of the source system
service: hotline
dialect: verf
schema: {schema}
unit_code: "{unit}"
deadline: "03:00"
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
  - {{id: {id}, code: {name}, label: {name}, label_zh: {name}, group: data, price: 20, margin: 10.00,
     launch_date: 2099-01-01, attributes: {{{attributes}}}}}
"""
RULE = """\
  # A draft: removes nothing yet. Names it may use: docs/developer/entities.md and conf/generated/features.yml
  - {{name: {name}, removes: "false", reason: why the offer is not made, reason_zh: 不推荐的原因}}
"""
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
        raise _taken("feed", name, root / "feeds")
    units = [int(known.unit_code) for known in catalogue.feeds.values() if known.service == "hotline"]
    drafts = {
        root / "feeds" / "hotline" / f"{name}.yml": FEED.format(
            name=name, schema=name, unit=max(units, default=20000) + 1
        )
    }
    if name not in catalogue.schemas:
        drafts[root / "schemas" / f"{name}.yml"] = SCHEMA.format(name=name)
    return drafts


def product(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of products.yml with the next free id and every attribute that rules may name."""
    products = Catalogue(root).products
    if name in {known.code for known in products}:
        raise _taken("product", name, root / "products.yml")
    number = max((known.id for known in products), default=-1) + 1
    if number > 62:
        raise MendableError(
            "there are 63 products already", where=str(root / "products.yml"), remedy="retire one: its id can be reused"
        )
    attributes = ", ".join(f"{key}: 0" for key in dict.fromkeys(key for known in products for key in known.attributes))
    return {root / "products.yml": _after(root / "products.yml", PRODUCT, id=number, name=name, attributes=attributes)}


def rule(name: str, root: Path) -> dict[Path, str]:
    """A row at the end of rules.yml."""
    if name in {known.name for known in Catalogue(root).rules}:
        raise _taken("rule", name, root / "rules.yml")
    return {root / "rules.yml": _after(root / "rules.yml", RULE, name=name)}


def feature(name: str, root: Path) -> dict[Path, str]:
    """A family of features in a file of its own."""
    folder = ROOT.parent / "features" / "declared" if root == ROOT else root / "features"
    path = folder / f"{name}.yml"
    if path.exists():
        raise _taken("family of features", name, path)
    return {path: FAMILY.format(name=name)}


KINDS: dict[str, Callable[[str, Path], dict[Path, str]]] = {
    "feed": feed,
    "product": product,
    "rule": rule,
    "feature": feature,
}


def draft(kind: str, name: str, root: Path = ROOT) -> list[Path]:
    """Write the drafts of ``kind`` and load the catalogue with them.

    Returns:
        the files written or extended.

    Raises:
        MendableError: the name does not fit or is taken; nothing is written then.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise MendableError(
            f"{name!r} cannot be a name", where="NAME", remedy="small letters, digits and _, a letter first"
        )
    drafts = KINDS[kind](name, root)
    before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in drafts}
    for path, text in drafts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    try:
        loaded = Catalogue(root)
        _ = loaded.feeds, loaded.products, loaded.rules, loaded.features
    except MendableError:
        for path, old in before.items():
            path.unlink() if old is None else path.write_text(old, encoding="utf-8")
        raise
    return list(drafts)


def _taken(kind: str, name: str, where: Path) -> MendableError:
    return MendableError(
        f"there is a {kind} {name!r} already", where=str(where), remedy="choose another name, or edit it"
    )


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
        written = draft(chosen.kind, chosen.name)
    except MendableError as error:
        sys.stderr.write("error: " + "\n".join(error.lines()) + "\n")
        return 2
    for path in written:
        sys.stdout.write(f"{path.relative_to(ROOT.parent)}\n")
    sys.stdout.write(f"edit it as docs/howto/{chosen.kind}.md shows\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
