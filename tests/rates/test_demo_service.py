"""The small exchange-rate service of development, and the API that asks it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.conftest import NO_BROKER, new_client
from tests.hostile import closed_port
from tests.rates.conftest import AppWith
from tests.test_running import SECRETS


def start(address: str, project: Path) -> "subprocess.Popen[str]":
    """Start it with production's settings, which leave nothing in the checkout."""
    settings = {"FLASK_ENV": "production", "DATABASE_URL": "sqlite:///nowhere.db", "RATES_URL": address}
    settings |= {"BROKER_URL": NO_BROKER, **SECRETS}
    return subprocess.Popen(
        [sys.executable, "-m", "app.rates.demo_service"],
        cwd=project,
        env={"PATH": os.environ["PATH"], **settings},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def address(project: Path) -> Iterator[str]:
    address = closed_port()
    with start(address, project) as process:
        assert process.stderr
        assert process.stderr.readline() == f"Demo exchange rates at {address}/latest\n"
        yield address
        process.terminate()


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def test_it_speaks_as_frankfurter_does(address: str) -> None:
    told = read(f"{address}/latest?base=EUR&symbols=USD,CHF")
    assert (told["base"], set(told["rates"])) == ("EUR", {"USD", "CHF"})
    all_rates = read(f"{address}/latest")["rates"]
    assert len(all_rates) == 30
    assert all_rates["USD"] == told["rates"]["USD"]
    assert read(f"{address}/latest?base=USD&symbols=EUR")["rates"]["EUR"] == pytest.approx(1 / all_rates["USD"], 1e-4)
    for unknown in ("/latest?symbols=XXX", "/latest?base=XXX", "/", "/latest?symbols=usd"):
        with pytest.raises(HTTPError, match="404"):
            read(f"{address}{unknown}")


def test_the_api_takes_its_rates(address: str, app_with: AppWith) -> None:
    client = new_client(app_with(RATES_URL=address))
    assert client.get("/api/v1/rates/USD").get_json()["rate"] == "1.08"
    assert client.get("/api/v1/rates/XXX").status_code == 404


def test_it_has_nothing_to_do_where_rates_come_from_elsewhere(project: Path) -> None:
    with start("https://rates.example.com/v1", project) as process:
        _, told = process.communicate(timeout=30)
    assert (process.returncode, "nothing to serve" in told) == (0, True)


def test_a_port_in_use_is_one_clear_sentence(address: str, project: Path) -> None:
    with start(address, project) as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert told.startswith(f"Error: {address} cannot be opened")
    assert "Traceback" not in told
