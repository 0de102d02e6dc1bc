"""What a handler declares, and how a request is handled by it."""
