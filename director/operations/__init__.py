"""One use case per module: what an operator can ask the director to do."""
