"""Posts: what members write for all to read.

A `PUT` without `is_hidden` leaves it as it is. Who is no moderator may not send it at all.
"""
