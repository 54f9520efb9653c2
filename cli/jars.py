"""``python -m cli.jars``: Delta's jars, at set-up; says what failed."""

from __future__ import annotations

import sys

from cli.output import complain
from conf.errors import UserError
from runtime.jars import fetch


def main() -> int:
    """Fetch what is missing; 2 where the user can mend it."""
    try:
        fetch()
    except UserError as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
