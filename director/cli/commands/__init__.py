"""One module per command; ``director.cli.catalogue`` lists them."""
