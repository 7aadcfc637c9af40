"""Stored files, named by their content."""
