"""``python -m cli`` is ``cpc``."""

from cli import main

main()
