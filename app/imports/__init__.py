"""Imports: many products at once, from a CSV file."""
