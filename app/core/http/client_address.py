"""The address of the client: the one that the trusted proxy names, where there is one."""

from ipaddress import ip_address

from flask import has_request_context, request

ADDRESS_LENGTH = 45  # An IPv6 address with an IPv4 tail.


def client_address() -> str | None:
    """Return the address of the request under way; None outside of one.

    None, too, for what is no IP address, since a proxy may pass on what a client has claimed.
    """
    if not has_request_context():
        return None
    try:
        return str(ip_address((request.remote_addr or "").partition("%")[0]))
    except ValueError:
        return None
