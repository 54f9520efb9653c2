"""The documents' site: links of the checkout lead to pages of the site, the reference finds every module."""

import importlib.util
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("site_hook", HOUSE / "docs" / "site.py")
assert spec is not None
assert spec.loader is not None
site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site)
PAGES = {"about.md", "howto/feed.md", "decisions/README.md", "reference/models.affinity.md", "conf.md", "night.md"}


@pytest.mark.parametrize(
    ("source", "page", "text", "expected"),
    [
        ("README.md", "about.md", "[a](docs/howto/feed.md#x)", "[a](howto/feed.md#x)"),
        ("README.md", "about.md", "[`m`](models/affinity)", "[`m`](reference/models.affinity.md)"),
        ("docs/howto/feed.md", "howto/feed.md", "[a](../../conf/README.md)", "[a](../conf.md)"),
        ("docs/night.md", "night.md", "[a](decisions) [b](../README.md)", "[a](decisions/README.md) [b](about.md)"),
        ("docs/night.md", "night.md", "[the file](../Makefile) stays", "the file stays"),
        ("docs/night.md", "night.md", "[lost](nowhere.md)", "[lost](nowhere.md)"),  # the strict build names it
        ("docs/night.md", "night.md", "[a](https://x.org/y) [b](#here)", "[a](https://x.org/y) [b](#here)"),
        ("docs/night.md", "night.md", "```yaml\n[a](../Makefile)\n```", "```yaml\n[a](../Makefile)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(source: str, page: str, text: str, expected: str) -> None:
    assert site.relink(text, source, page, PAGES) == expected


def test_the_reference_has_every_module() -> None:
    modules = [module for found in site.packages().values() for module in found]
    assert len(modules) == len(set(modules)) > 200
    for module in ("conf", "conf.dates", "dialects.hmac", "models.assignment", "models.assignment.solve"):
        assert module in modules
    assert not [module for module in modules if module.startswith(("tests", "benchmarks")) or "__" in module]


def test_a_page_begins_with_its_package() -> None:
    text = site.reference("room", ["room.a", "room"])
    assert text.index("::: room\n") < text.index("::: room.a\n")
    assert site.reference("room", ["room.a"]).count(":::") == 1


def test_pictures_are_folded() -> None:
    text = "a\n\n```mermaid\nflowchart\n\n  b\n```\n\nc"
    assert site.fold_pictures(text) == (
        'a\n\n??? abstract "A picture, as Mermaid text"\n    ```mermaid\n    flowchart\n\n      b\n    ```\n\nc'
    )
