"""Calls to other services: HTTP, mail, storage."""
