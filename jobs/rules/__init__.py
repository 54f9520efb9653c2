"""Eligibility in three parts: the state of a customer, rules as SQL over it, and arcs as bits."""
