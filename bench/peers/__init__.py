"""What people would use instead, a file each, doing the same work on the same tables."""
