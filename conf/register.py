"""The register of purposes: which feed brings which personal field, for what, for how long, and who answers for it.

``make generate`` writes it to ``docs/operator/purposes.md`` from the catalogue (PIPL Art. 55–56 ask for such a
record). A test holds it current.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from conf.catalogue import ROOT, Catalogue
from conf.feed import Feed
from conf.schema import Schema

PAGE = ROOT.parent / "docs" / "operator" / "purposes.md"
#: What becomes of a field of each kind once it is loaded.
TREATMENT = {
    "phone": "replaced by a keyed pseudonym while loading; the number itself only in the vault",
    "name": "kept in the raw table, reaches no entity",
    "address": "kept in the raw table, reaches no entity",
    "location": "kept in the raw table, reaches no entity or feature",
    "identity": "kept in the raw table, reaches no entity",
    "free_text": "kept in the raw table, reaches no entity; screens mask it",
    "birth": "the year of birth only; features see an age group",
    "device": "kept in the raw table, reaches no entity",
    "account": "kept in the raw table; tells owners of one number apart",
}
HEAD = """# Register of purposes

What personal data comes in, with which interface, for what, for how long, and who answers for it. Generated from
`conf/feeds` and `conf/schemas` by `make generate`; change it there. Interfaces that carry nothing personal
are at the end.

"""


def page(catalogue: Catalogue) -> str:
    """The register as Markdown, the same for the same catalogue."""
    return HEAD + "\n".join([*_treatments(), *_interfaces(catalogue), *_plain(catalogue)]) + "\n"


def personal_fields(schema: Schema) -> dict[str, list[str]]:
    """Kinds of personal data to the fields that carry them."""
    fields: dict[str, list[str]] = defaultdict(list)
    for field in schema.fields:
        if field.personal != "none":
            fields[field.personal].append(field.name)
    return dict(sorted(fields.items()))


def _treatments() -> Iterator[str]:
    yield "| kind of data | what becomes of it |"
    yield "|---|---|"
    for kind, words in TREATMENT.items():
        yield f"| {kind} | {words} |"
    yield ""


def _interfaces(catalogue: Catalogue) -> Iterator[str]:
    yield "| interface | 中文 | personal fields | purpose | kept (days) | feeds | who answers |"
    yield "|---|---|---|---|---|---|---|"
    for name, schema in sorted(catalogue.schemas.items()):
        if personal := personal_fields(schema):
            fields = "; ".join(f"{kind}: {', '.join(f'`{n}`' for n in names)}" for kind, names in personal.items())
            yield _row(name, schema, fields, catalogue.feeds_of(name))
    yield ""


def _row(name: str, schema: Schema, fields: str, feeds: list[Feed]) -> str:
    purposes = " · ".join(sorted({feed.purpose for feed in feeds}))
    days = sorted({feed.retention_days for feed in feeds})
    retention = str(days[0]) if len(days) == 1 else f"{days[0]}–{days[-1]}"
    owners = ", ".join(sorted({_team(feed.owner) for feed in feeds}))
    codes = ", ".join(sorted(feed.code for feed in feeds))
    return f"| {name} | {schema.label} | {fields} | {purposes} | {retention} | {codes} | {owners} |"


def _team(owner: str) -> str:
    """The owner without the centre it sits in."""
    words = owner.split()
    return " ".join(words[:-1]) if len(words[-1]) == 2 else owner


def _plain(catalogue: Catalogue) -> Iterator[str]:
    names = [name for name, schema in sorted(catalogue.schemas.items()) if not personal_fields(schema)]
    yield "Nothing personal: " + ", ".join(names) + "."
