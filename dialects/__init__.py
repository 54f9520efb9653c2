"""HOW FILES SPEAK: bytes only. Readers and writers of the formats ``avl``, ``verf``, ``vgop`` and ``jsonl``."""

from dialects.reader import EncodingError, FileRefused, HeaderError, Records, find_columns, read
from dialects.streams import pieces
from dialects.writer import write_delivery

__all__ = [
    "EncodingError",
    "FileRefused",
    "HeaderError",
    "Records",
    "find_columns",
    "pieces",
    "read",
    "write_delivery",
]
