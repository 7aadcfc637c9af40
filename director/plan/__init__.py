"""What must be done, and why: pure functions of what is wanted and what was found."""
