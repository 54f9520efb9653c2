"""Features on tables: tiles, snapshots, preview, drift."""
