"""WHO GETS WHAT: problem, limits, dual, repair. Arrays in, arrays out: no Spark, no tables.

The mathematics is in docs/developer/assignment.md; each numerical step here names its formula there.
"""
