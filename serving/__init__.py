"""Hand out: what is published, to whom, and what is taken back."""
