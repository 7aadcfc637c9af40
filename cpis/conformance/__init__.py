"""What every CPI must do, as checks that run against any of them."""
