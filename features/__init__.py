"""WHAT we know of a customer: each feature declared once (``declared/*.yml``), point-in-time by construction."""
