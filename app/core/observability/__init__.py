"""What operators see: the log, metrics and traces."""
