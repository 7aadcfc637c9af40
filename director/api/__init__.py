"""The HTTP interface: BOSH's paths, bodies and codes."""
