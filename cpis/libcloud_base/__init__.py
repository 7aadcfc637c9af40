"""What CPIs on apache-libcloud share: asking a cloud that throttles and fails, and user data."""
