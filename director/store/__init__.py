"""What the director remembers: one SQL database, one repository per noun, and task outputs."""
