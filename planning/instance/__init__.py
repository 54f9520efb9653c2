"""The night's decision as an instance: files, arcs, the frozen run."""
