"""Tasks: queue what an operator asks for, run it, say how it went."""
