"""The page of commands is current, and says of each command what it does, with an example."""

import pytest
import typer

from cli.commands_page import describe

pytestmark = pytest.mark.whole  # every command's module is imported


def test_options_are_told_where_they_are_a_command_s_own():
    trial = typer.Typer(add_completion=False)

    @trial.command()
    def count(
        folder: str,
        most: int = typer.Option(3, "--most", help="At | most."),
        quick: bool = False,
        as_json: bool = typer.Option(False, "--json"),
    ) -> None:
        """Count ``things``. Example: cpc count here."""

    assert list(describe("cpc count", typer.main.get_command(trial))) == [
        "Count `things`.",
        "",
        "```text",
        "cpc count FOLDER [OPTIONS]",
        "example: cpc count here",
        "```",
        "",
        "Takes `--json`.",
        "",
        "| option | default | meaning |",
        "|---|---|---|",
        "| `--most` | `3` | At / most. |",
        "| `--quick`, `--no-quick` |  |  |",
        "",
    ]
