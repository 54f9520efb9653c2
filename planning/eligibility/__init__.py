"""Who may be offered what: rules as SQL, arcs as bits."""
