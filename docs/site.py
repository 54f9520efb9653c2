"""What MkDocs is told beside the pages: a reference page a package, pages from outside docs/, links to both, navigation.

Packages are found by walking the checkout, so that the reference follows when modules move. A hook of ``mkdocs.yml``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[1]
#: Pages that live where their readers look for them, and their place on the site.
CARRIED = {
    "README.md": "about.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "conf/README.md": "conf.md",
}
#: Pages of the first section, after what it is.
START = ("night.md", "glossary.md", "conf.md", "contributing.md", "changelog.md")
#: Folders of pages in the order in which they are shown.
SECTIONS = {
    "howto": "How to",
    "operator": "Operator",
    "marketer": "Marketer",
    "scientist": "Scientist",
    "developer": "Developer",
    "decisions": "Decisions",
    "benchmarks": "Figures",
    "reference": "Reference",
}
NOT_PRODUCT = {"tests", "benchmarks"}
LINK = re.compile(r"(?<!\!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def packages() -> dict[str, list[str]]:
    """Package → its modules, of every room of the product."""
    found: dict[str, list[str]] = {}
    for room in sorted(path.parent for path in HOUSE.glob("*/__init__.py") if path.parent.name not in NOT_PRODUCT):
        for path in sorted(room.rglob("*.py")):
            package = ".".join(path.parent.relative_to(HOUSE).parts)
            if path.name != "__main__.py":
                found.setdefault(package, []).append(
                    package if path.name == "__init__.py" else f"{package}.{path.stem}"
                )
    return found


def reference(package: str, modules: list[str]) -> str:
    """The page of a package: what its ``__init__`` says, then every module."""
    lines = [f"# {package}", ""]
    if package in modules:
        lines += [f"::: {package}", "    options: {show_root_heading: false}", ""]
    for module in sorted(set(modules) - {package}):
        lines += [f"::: {module}", ""]
    return "\n".join(lines)


def place_of(package: str) -> str:
    """The page of a package on the site."""
    return f"reference/{package}.md"


def relink(text: str, source: str, page: str, pages: set[str]) -> str:
    """Point links of a page of the checkout at pages of the site; what has no page there becomes plain text.

    Args:
        text: Markdown.
        source: place of the page in the checkout.
        page: its place on the site.
        pages: everything on the site.
    """

    def rewrite(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        names = (
            [place.removeprefix("docs/"), f"{place}/README.md".removeprefix("docs/")]
            if place.startswith("docs")
            else []
        )
        names += [CARRIED.get(place, ""), place_of(place.replace("/", "."))]
        for name in names:
            if name in pages:
                return f"[{label}]({posixpath.relpath(name, posixpath.dirname(page) or '.')}{anchor})"
        if (HOUSE / place).exists():
            return label
        return match[0]

    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(rewrite, part) for part in parts)


def fold_pictures(text: str) -> str:
    """Fold Mermaid text away: what draws it would have to be fetched when the page is read."""

    def rewrite(match: re.Match[str]) -> str:
        return '??? abstract "A picture, as Mermaid text"\n' + re.sub(r"^(?=.)", "    ", match[0], flags=re.M)

    return re.sub(r"^```mermaid\n.*?^```$", rewrite, text, flags=re.M | re.S)


def on_files(files: Any, config: Any) -> Any:
    """Add the reference and the carried pages, and order the navigation."""
    from mkdocs.structure.files import File  # the site is built with packages of development

    for source, page in CARRIED.items():
        files.append(File.generated(config, page, content=(HOUSE / source).read_text(encoding="utf-8")))
    for package, modules in packages().items():
        files.append(File.generated(config, place_of(package), content=reference(package, modules)))
    names = sorted((file.src_uri for file in files.documentation_pages()), key=lambda name: name.removesuffix(".md"))
    config["nav"] = [
        {"Start": ["README.md", {"What it is": "about.md"}, *START]},
        *({title: [name for name in names if name.startswith(f"{folder}/")]} for folder, title in SECTIONS.items()),
    ]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite links that lead out of docs/ or to folders, and fold pictures."""
    sources = {place: source for source, place in CARRIED.items()}
    name = page.file.src_uri
    pages = {file.src_uri for file in files}
    return fold_pictures(relink(markdown, sources.get(name, f"docs/{name}"), name, pages))
