"""Data Docs open without the internet: nothing is fetched from outside, and what they show is there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from expectations import docs
from expectations.offline import keep_inside, rewrite
from tests.fixtures.catalogue import frozen

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: What a browser loads by itself; `href` of an `a` is followed by a reader only.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc\s*=\s*[\"']?([^\"'\s>]+)"
    r"|<link\b[^>]*\bhref\s*=\s*[\"']?([^\"'\s>]+)|url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)",
    re.I | re.S,
)


def loaded(text: str) -> set[str]:
    return {next(filter(None, found)) for found in LOADED.findall(text)}


def outside(text: str) -> set[str]:
    return {place for place in loaded(text) if re.match(r"(?:[a-z]+:)?//", place)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of three suites, as a night writes them."""
    catalogue = frozen()
    few = {name: catalogue.schemas[name] for name in sorted(catalogue.schemas)[:3]}
    home = tmp_path_factory.mktemp("docs")

    class Few:
        schemas = few

    docs.build_suites(Few(), home)  # type: ignore[arg-type]
    return home


@pytest.mark.whole
def test_great_expectations_would_fetch_from_outside(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the tests below are of something."""
    monkeypatch.setattr(docs, "keep_inside", lambda home: 0)
    schemas = frozen().schemas

    class One:
        pass

    one = One()
    one.schemas = dict([next(iter(schemas.items()))])  # type: ignore[attr-defined]
    docs.build_suites(one, tmp_path / "raw")  # type: ignore[arg-type]
    assert len(outside((tmp_path / "raw" / "index.html").read_text(encoding="utf-8"))) > 10


def test_no_page_and_no_style_fetches_from_outside(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 4
    assert {path.name: outside(path.read_text(encoding="utf-8")) for path in pages} == {
        path.name: set() for path in pages
    }


def test_what_pages_load_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        for place in loaded(page.read_text(encoding="utf-8")):
            assert (page.parent / place).resolve().is_file(), (page.name, place)


def test_other_forms_of_fetching_are_found() -> None:
    page = """<html><head>
    <script async src='//cdn.example/x.js'></script><LINK REL=stylesheet HREF="http://cdn.example/x.css">
    <style>@import "https://cdn.example/y.css"; a { background: url(https://cdn.example/z.png) }</style></head>
    <body><img alt="x" src="https://cdn.example/a/logo-long.png?d=1"><a href="https://example.org">read</a></body></html>"""
    inside = rewrite(page, "../")
    assert outside(inside) == set()
    assert "../static/images/logo-long.png" in inside
    assert '<a href="https://example.org">' in inside  # a reader may follow it


def test_pages_are_counted_and_may_be_rewritten_again(site: Path) -> None:
    before = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert keep_inside(site) == len(before)
    assert {path: path.read_text(encoding="utf-8") for path in before} == before


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent: install it, or run .ci/run")
def test_the_index_lists_its_suites_without_a_network(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.goto((site / "index.html").as_uri())
        text = page.inner_text("body")
        assert wrong == []
        assert all(name in text for name in sorted(frozen().schemas)[:3])
        page.click(".clickable-row")
        page.wait_for_url("**/expectations/*.html")
        assert "Expectation" in page.inner_text("body")
        browser.close()
