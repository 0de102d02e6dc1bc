"""The fault drill judges by what its clients saw."""

from pathlib import Path

import pytest
import requests
import yaml

from deploy.drill import report
from deploy.drill.clients import Attempt, problem_of
from deploy.drill.faults import FAULTS, Fault
from deploy.drill.places import Disk
from deploy.drill.report import Period, row_of
from deploy.drill.siege import ATTACKS, MEMORY, Outcome

# From second 100 to 106; the next begins at 113.
BREAKS = Fault("f", "something breaks", lambda _ground: None)
HARMLESS = Fault("h", "something goes on", lambda _ground: None, harmless=True)
ANSWER = b'{"error": "Service Unavailable", "message": "Busy.", "code": "unavailable", "request_id": "r"}'


def verdict(fault: Fault, *attempts: Attempt) -> str:
    return row_of(Period(fault, 100, 106, 113), attempts).verdict


@pytest.mark.parametrize(
    ("fault", "begun", "ended", "problem", "said"),
    [
        (BREAKS, 101, 102, None, "well"),
        (BREAKS, 101, 102, "503", "well"),
        (BREAKS, 109, 110.9, "503", "well"),
        (BREAKS, 99.9, 100.1, "503", "well"),  # under way when it broke
        (BREAKS, 111.1, 111.2, "503", "too late"),
        (BREAKS, 101, 120, "503", "too late"),
        (BREAKS, 112.9, 113.1, "503", "well"),  # the next fault's
        (BREAKS, 101, 102, "500 internal_error", "1 x 500 internal_error"),
        (HARMLESS, 101, 102, None, "well"),
        (HARMLESS, 101, 102, "503", "errors where none may be"),
    ],
)
def test_a_fault_is_judged_by_its_kind_and_by_when_its_errors_came(
    fault: Fault, begun: float, ended: float, problem: str | None, said: str
) -> None:
    assert verdict(fault, Attempt(begun, ended, "post", problem)) == said


@pytest.mark.parametrize(
    ("status", "body", "headers", "problem"),
    [
        (201, b"{}", {}, None),
        (503, ANSWER, {"Retry-After": "1"}, "503"),
        (503, ANSWER, {}, "503 unavailable"),
        (503, b"<html>", {"Retry-After": "1"}, "503 without JSON"),
        (502, b'{"message": "no"}', {}, "502 in another shape"),
    ],
)
def test_a_refusal_must_have_the_shape_of_errors(
    status: int, body: bytes, headers: dict[str, str], problem: str | None
) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = status, body
    answer.headers.update(headers)
    assert problem_of(answer) == problem


def test_what_cannot_be_tried_here_is_told_in_the_table() -> None:
    assert f"{FAULTS[0].title} | | | | | | | not tried: no root" in report.table([], [(FAULTS[0], "no root")])


def test_without_root_no_disk_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RuntimeError, match="needs root"):
        Disk(tmp_path / "disk")


def test_the_names_of_the_faults_are_different() -> None:
    names = [each.name for each in (*FAULTS, *ATTACKS)]
    assert len(set(names)) == len(names)


CALM = dict.fromkeys(MEMORY, 100 << 20)


@pytest.mark.parametrize(
    ("slowest", "failed", "memory", "found", "said"),
    [
        (0.9, 0, CALM, (), "well"),
        (1.1, 0, CALM, (), "reads wait"),
        (0.1, 1, CALM, (), "reads fail"),
        (0.1, 0, {**CALM, "worker": 1025 << 20}, (), "memory of worker"),
        (0.1, 0, CALM, ("a transfer: 500",), "a transfer: 500"),
    ],
)
def test_an_attack_is_judged_by_what_it_costs_others(
    slowest: float, failed: int, memory: dict[str, int], found: tuple[str, ...], said: str
) -> None:
    assert Outcome(ATTACKS[0], "sqlite", slowest, failed, memory, found).verdict == said


def test_the_memory_that_an_attack_may_take_is_that_of_the_containers(project: Path) -> None:
    services = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]
    units = {"m": 1 << 20, "g": 1 << 30}
    limits = {name: services[name]["mem_limit"] for name in MEMORY}
    assert {name: int(limit[:-1]) * units[limit[-1]] for name, limit in limits.items()} == MEMORY
