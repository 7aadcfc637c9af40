"""Stemcells: building their tarballs, and reading tarballs from elsewhere."""
