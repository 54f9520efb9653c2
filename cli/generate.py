"""``make generate``: every committed file that is made from others, written anew (``python -m cli.generate``)."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from cli import app, commands_page
from conf import data_model, figures_page, register, settings_page
from conf.catalogue import ROOT, load_catalogue
from features import dictionary, listing
from runtime import night_order

HOUSE = ROOT.parent


def render_all() -> dict[Path, str]:
    """Every generated file with the text that it must have: the same for the same sources."""
    catalogue = load_catalogue()
    return {
        night_order.GENERATED: night_order.compile_night(),
        night_order.PICTURE: night_order.picture(),
        listing.GENERATED: listing.render(catalogue.features),
        register.PAGE: register.page(catalogue),
        dictionary.PAGE: dictionary.markdown(catalogue),
        data_model.PAGE: data_model.write_page(catalogue),
        figures_page.PAGE: figures_page.write_page(catalogue),
        settings_page.PAGE: settings_page.write_page(),
        commands_page.PAGE: commands_page.write_page(typer.main.get_command(app)),
    }


def main() -> None:
    """Write those that have changed, and say which."""
    for path, text in render_all().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(HOUSE)}\n")


if __name__ == "__main__":
    main()
