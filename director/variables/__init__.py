"""Credentials: generated once, kept encrypted, handed out by the names a manifest uses."""
