"""Notifications: what members are told, at their account and by e-mail."""
