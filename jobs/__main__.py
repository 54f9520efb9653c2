"""``python -m jobs`` is ``cpc``."""

from jobs.cli import main

main()
