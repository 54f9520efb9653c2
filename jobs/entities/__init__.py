"""How records become entities: what to rebuild, the SQL of one schema, who held a number, events."""
