"""HOW FILES SPEAK: bytes only. Readers and writers of the formats ``avl``, ``verf``, ``vgop`` and ``jsonl``."""

from dialects.reader import Records, Refused, read
from dialects.streams import pieces
from dialects.writer import write_delivery

__all__ = ["Records", "Refused", "pieces", "read", "write_delivery"]
