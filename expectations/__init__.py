"""WHAT GOOD DATA IS: a suite per schema, generated from the schema and extended by hand, judged once a load.

``suite`` says what is expected of a feed's records, ``measure`` holds it against what the loader measured,
``verdict`` lets Great Expectations judge all of it in one validation, ``docs`` builds Data Docs, ``history`` compares a
feed with its own past. Nothing here reads a table.
"""
