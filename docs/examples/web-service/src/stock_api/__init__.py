"""What is in the store room."""
