"""What a limit takes of an arc, and how much of it there is tonight."""
