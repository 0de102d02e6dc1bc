"""Posts: what members write for all to read."""
