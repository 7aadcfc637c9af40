"""The typed HTTP client: what the command line knows of a director, and nothing else of it."""
