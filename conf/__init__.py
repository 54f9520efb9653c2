"""FACTS: feeds, schemas, products, channels, rules, limits, environments and the table catalogue.

Everything people write is YAML here, checked by the pydantic models of this package; nothing in this
room reads data. ``conf.catalogue.load_catalogue`` is the one way in.
"""
