"""The README: what it prints is run as printed, and it stays on one screen."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.test_running import BIN, Checkout, checkout
from tests.waiting import until

__all__ = ["checkout"]  # the fixture

ONE_SCREEN = 75  # lines


@contextmanager
def everything_up(checkout: Checkout) -> Iterator[None]:
    """Run what ``make run`` runs: web, worker, scheduler and a broker of their own."""
    prepared = checkout.run("flask", "prepare")
    assert prepared.returncode == 0, prepared.stderr
    settings = checkout.environment | {"BROKER_URL": "", "RATES_URL": "https://rates.invalid"}
    with checkout.log.open("w") as log:
        process = subprocess.Popen(
            [BIN / "flask", "--app", "wsgi", "up"],
            cwd=checkout.folder,
            env=settings,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: process.poll() is not None or answers(checkout))
        assert process.poll() is None, checkout.log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(45)


def answers(checkout: Checkout) -> bool:
    try:
        return bool(checkout.get("/health"))
    except OSError:
        return False


def printed(readme: str) -> str:
    """Return all that is to be typed into a shell."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", readme, re.DOTALL))


def test_a_first_session_goes_as_printed(checkout: Checkout, project: Path) -> None:
    readme = (project / "README.md").read_text()
    shutil.copy(project / "README.md", checkout.folder)
    script = printed(readme).replace("http://127.0.0.1:8000", checkout.base)
    if not shutil.which("curl"):
        script = f"curl() {{ '{sys.executable}' '{project / 'tests' / 'curl.py'}' \"$@\"; }}\n{script}"
    with everything_up(checkout):
        session = subprocess.run(
            ["sh", "-euc", script], cwd=checkout.folder, capture_output=True, text=True, timeout=90, check=True
        )
    found, order, transfer, file, job = (json.loads(line) for line in session.stdout.splitlines())
    assert [product["id"] for product in found["products"]] == [order["lines"][0]["product_id"]]
    assert (order["status"], order["total"]) == ("placed", found["products"][0]["price"])
    assert (transfer["receiver_id"], transfer["amount"]) == (order["seller_id"], 250)
    assert (file["name"], file["size"]) == ("README.md", len(readme.encode()))
    assert job["status"] == "succeeded"
    assert (checkout.folder / "statement.pdf").read_bytes().startswith(b"%PDF-")


def test_it_stays_on_one_screen(project: Path) -> None:
    assert len((project / "README.md").read_text().splitlines()) <= ONE_SCREEN
