"""Products: what members offer."""
