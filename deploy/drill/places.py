"""Where parts of the stack are put so that they can be cut off or filled up. Both need root."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.process import Process
from deploy.stack import Stack

STORAGE_SIZE = "192m"
PAGE = 4096  # bytes; what such a disk has free, it has in pieces of this size


class Namespace:
    """A network of its own, joined to this machine's by one cable, which can be pulled."""

    def __init__(self) -> None:
        self.name = f"agora-{secrets.token_hex(3)}"
        self._cable = f"ag{secrets.token_hex(3)}"
        network = f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
        self.address = f"{network}.2"
        _run("ip", "netns", "add", self.name)
        try:
            _run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            _run("ip", "address", "add", f"{network}.1/24", "dev", self._cable)
            _run("ip", "link", "set", self._cable, "up")
            _run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
            _run("ip", "-n", self.name, "link", "set", "lo", "up")
            self.connect()
        except RuntimeError:
            self.remove()
            raise

    def cut(self) -> None:
        """Pull the cable: nothing that is sent arrives, and nobody is told."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "down")

    def connect(self) -> None:
        """Plug it in."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Remove network and cable."""
        _run("ip", "netns", "delete", self.name)


class Disk:
    """A small disk at ``folder``, which can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        _run("mount", "-t", "tmpfs", "-o", f"size={STORAGE_SIZE},mode=700", "tmpfs", str(folder))

    @contextmanager
    def full(self) -> Iterator[None]:
        """Have no byte left in the block."""
        filler = self.folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(PAGE))
                except OSError:
                    yield
        finally:
            filler.unlink()

    def remove(self) -> None:
        """Take the disk away."""
        _run("umount", "--lazy", str(self.folder))


class Ground(Stack):
    """The stack, with ``web2`` in a network and the files on a disk of their own where that can be had.

    ``network`` and ``disk`` are None where it cannot; ``missing`` says why.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.network: Namespace | None = None
        self.disk: Disk | None = None
        super().__init__()
        try:
            self.network = Namespace()
            self.web_hosts["web2"] = self.network.address
        except RuntimeError as error:
            self.missing.append(str(error))
        try:
            self.disk = Disk(self.files)
        except RuntimeError as error:
            self.missing.append(str(error))

    def _web(self, name: str) -> Process:
        web = super()._web(name)
        if name == "web2" and self.network is not None:
            web.command[:0] = ["nsenter", f"--net=/run/netns/{self.network.name}"]
        return web

    def stop(self) -> None:
        """Stop all, and take network and disk away."""
        super().stop()
        if self.disk is not None:
            self.disk.remove()
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.network is not None:
            self.network.remove()


def _run(*command: str) -> None:
    """Run a command of the system's administration. Raises RuntimeError, which says why it fails."""
    if os.geteuid() != 0:
        raise RuntimeError(f"{' '.join(command[:2])} needs root")
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"there is no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(command[:3])}: {error.stderr.strip()}") from None
