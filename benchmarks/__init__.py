"""How fast and how good, against peers."""
