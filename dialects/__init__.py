"""HOW FILES SPEAK: bytes only. Readers and writers of the formats ``avl``, ``verf``, ``vgop`` and ``jsonl``."""

from dialects.reader import HeaderError, Records, Refused, find_columns, read
from dialects.streams import pieces
from dialects.writer import write_delivery

__all__ = ["HeaderError", "Records", "Refused", "find_columns", "pieces", "read", "write_delivery"]
