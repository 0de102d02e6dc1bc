"""What is handed to the workers: messages and events."""
