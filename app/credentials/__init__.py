"""Passwords and e-mail addresses: changed, forgotten, verified.

A mail's link is `/reset-password` or `/verify-email` below the setting `APP_URL`, with the token as `?token=`; the page
there sends the token back. A link to verify an address works for 24 hours, once, the newest only; it is sent at
sign-up, when an address changes, and on request. What tells that a password or an address was changed is sent whatever
`notify_by_email` says.
"""
