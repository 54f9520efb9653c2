"""Data Docs: a page a schema's suite, and the page of the load's validation, below ``<home>/docs``."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from conf.catalogue import Catalogue
from conf.schema import Schema
from expectations.offline import CSS, JS, keep_inside
from expectations.suite import EXTENDED, Expect, suite
from expectations.verdict import Verdict, quiet_context

SITE = "quality"


def build(verdict: Verdict, catalogue: Catalogue, home: Path, folder: Path = EXTENDED) -> Path:
    """Build ``<home>/load`` (tonight's validation) and, where suites changed, ``<home>/suites``.

    Returns:
        the index page of the load.
    """
    mark = home / "suites" / ".suites"
    wanted = digest(catalogue, folder)
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        build_suites(catalogue, home / "suites", folder)
        mark.write_text(wanted, encoding="utf-8")
    _render(verdict.context, home / "load")
    return home / "load" / "index.html"


def build_suites(catalogue: Catalogue, home: Path, folder: Path = EXTENDED) -> None:
    """A page for the suite of every schema, in Great Expectations' own words."""
    import great_expectations as gx

    context = quiet_context()
    for name in sorted(catalogue.schemas):
        schema = catalogue.schemas[name]
        wanted = [
            made for expect in suite(schema, folder=folder) if (made := render_expectation(expect, schema)) is not None
        ]
        context.suites.add(gx.ExpectationSuite(name=name, expectations=wanted))
    _render(context, home)


def digest(catalogue: Catalogue, folder: Path = EXTENDED) -> str:
    """A hash of every suite: pages are rebuilt only when it differs."""
    text = json.dumps(
        {name: [repr(e) for e in suite(schema, folder=folder)] for name, schema in sorted(catalogue.schemas.items())}
        | {"pages": hashlib.sha256((CSS + JS).encode()).hexdigest()}
    )
    return hashlib.sha256(text.encode()).hexdigest()


def render_expectation(expect: Expect, schema: Schema) -> Any | None:
    """The expectation of Great Expectations that says the same of a table of records; None where it has no words."""
    import great_expectations.expectations as gxe

    notes = expect.why or None
    column, low, high = expect.column, expect.low, expect.high
    if expect.kind == "duplicate_share":
        keys = list(schema.key)
        if len(keys) == 1:
            return gxe.ExpectColumnValuesToBeUnique(column=keys[0], notes=notes)
        return gxe.ExpectCompoundColumnsToBeUnique(column_list=keys, notes=notes) if keys else None
    if expect.kind == "empty":
        return gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=1 - (high or 0.0), notes=notes)
    if expect.kind == "other_codes":
        return gxe.ExpectColumnValuesToBeInSet(
            column=column, value_set=list(expect.codes), mostly=1 - (high or 0.0), notes=notes
        )
    if expect.kind == "longest":
        return gxe.ExpectColumnValueLengthsToBeBetween(column=column, max_value=int(high or 0), notes=notes)
    plain = {
        "min": gxe.ExpectColumnMinToBeBetween,
        "max": gxe.ExpectColumnMaxToBeBetween,
        "average": gxe.ExpectColumnMeanToBeBetween,
        "n_distinct": gxe.ExpectColumnUniqueValueCountToBeBetween,
    }
    kind = plain.get(expect.kind)
    return None if kind is None else kind(column=column, min_value=low, max_value=high, notes=notes)


def _render(context: Any, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(home)}
    site = {
        "class_name": "SiteBuilder",
        "store_backend": store,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(site_name=name)
    context.add_data_docs_site(site_name=SITE, site_config=site)
    context.build_data_docs(site_names=[SITE])
    keep_inside(home)
