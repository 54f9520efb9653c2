"""From prices to decisions: exploration, controls, reasons, offers."""
