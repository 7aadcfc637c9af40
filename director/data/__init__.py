"""Documents that come with the director."""
