"""Members: their accounts, names, roles and passwords."""
