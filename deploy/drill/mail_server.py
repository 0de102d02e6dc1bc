"""The mail server of the attacks: it takes every mail, as slowly as it is told to."""

import asyncio
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

from deploy.stack import free_port


class MailServer:
    """A server on loopback, while a ``with`` block lasts. ``delay``: seconds until it answers each mail's beginning.

    ``begun`` is how many mails have been begun.
    """

    def __init__(self) -> None:
        self.delay, self.begun = 0.0, 0
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.url = f"smtp://127.0.0.1:{self._controller.port}"

    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Answer the command that begins a mail."""
        self.begun += 1
        await asyncio.sleep(self.delay)
        envelope.mail_from = address
        return "250 OK"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._controller.stop()
