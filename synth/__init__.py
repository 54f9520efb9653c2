"""The province in a box: customers, behaviour with known truth, written in the real dialects."""

from synth.province import Summary, write_province

__all__ = ["Summary", "write_province"]
