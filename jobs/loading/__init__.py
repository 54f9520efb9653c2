"""How a delivery becomes rows: control files, tasks, pseudonyms, the ledger, return reports."""
