"""Lists: what one publishes, and one page of it."""
