"""The same night decided otherwise: replay, what-if, sensitivity."""
