"""Experiments and logged policies from files."""
