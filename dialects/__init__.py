"""HOW FILES SPEAK: bytes only. Readers and writers of the interface formats ``avl``, ``verf``, ``vgop`` and ``jsonl``."""

from dialects.writer import write_delivery

__all__ = ["write_delivery"]
