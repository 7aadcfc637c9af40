"""For authors of CPIs: a package to begin with, a trial against a cloud, what is installed."""
