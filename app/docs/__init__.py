"""The entry points and the documentation, served from the service's own files."""
