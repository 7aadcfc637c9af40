"""Releases: making their tarballs, opening tarballs from elsewhere, ordering their versions."""
