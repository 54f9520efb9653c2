"""HOW FILES SPEAK: bytes only. Readers and writers of the formats ``avl``, ``verf``, ``vgop`` and ``jsonl``."""

from dialects.reader import HeaderError, Records, Refused, columns_in, read
from dialects.streams import pieces
from dialects.writer import write_delivery

__all__ = ["HeaderError", "Records", "Refused", "columns_in", "pieces", "read", "write_delivery"]
