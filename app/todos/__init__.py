"""Todos: each is seen by the member who has it, and by nobody else."""
