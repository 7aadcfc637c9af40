"""A BOSH-style deployment director: manifests in, supervised virtual machines out."""

__version__ = "0.1.0"
