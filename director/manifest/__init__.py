"""From an operator's text to a resolved deployment: reading, checking, looking names up."""
