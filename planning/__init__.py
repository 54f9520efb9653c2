"""Decide: from tonight's tables to an instance, from a plan to decisions."""
