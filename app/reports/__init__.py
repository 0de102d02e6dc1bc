"""Reports: what a member has earned and spent, or the community has moved, as a file that a worker writes."""
