"""Todos: what a member wants to do. The smallest resource, and the one to copy."""
