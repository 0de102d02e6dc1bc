"""HTTP: what comes in, what goes out, and the headers of both."""
