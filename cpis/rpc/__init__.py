"""BOSH's CPI protocol: requests and answers as JSON, both ways, and what of them may be shown."""
