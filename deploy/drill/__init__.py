"""The fault drill: one thing after the other is broken under load, and what must stay true is checked at the end."""
