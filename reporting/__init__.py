"""Tell: reads tables and writes none."""
