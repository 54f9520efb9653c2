"""How a job runs: nights, the lake, Spark, runs and their records, keys."""
