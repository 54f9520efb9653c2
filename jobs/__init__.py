"""DO: the only room that reads and writes tables. One module a job; the command line is ``cpc``."""
