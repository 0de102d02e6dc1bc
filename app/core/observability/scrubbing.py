"""What is taken out of every line of the log, and of what Sentry is told, whoever has put it there."""

import re

# The credentials of an Authorization header, a token by itself (RFC 7519), and a password in an address.
SECRET = re.compile(
    r"(?P<scheme>\b[Bb]earer )[\w.~+/=-]+"
    r"|\beyJ[\w-]+(?:\.[\w-]+)+"
    r"|(?P<user>\w://[^\s/:@\"']*:)[^\s/@\"']+(?=@)",
    re.ASCII,
)


def scrubbed(text: str) -> str:
    """Return ``text`` with stars in place of its tokens and passwords.

    Nothing writes them on purpose: this is for the message of an exception that quotes what it has failed on.
    """
    if not ("eyJ" in text or "://" in text or "earer " in text):
        return text  # There is nothing to be found, as in almost every line, which so is known sooner.
    return SECRET.sub(lambda found: f"{found['scheme'] or found['user'] or ''}***", text)
