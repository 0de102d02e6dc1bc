"""Todos: what a member wants to do, seen by nobody else."""
