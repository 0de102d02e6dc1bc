"""A database that does not answer is left alone, but for one a second who tries."""

import pytest

from app.core.silence import Silence, Unanswered


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the clock, in seconds, which goes on when it is told to."""
    time = [100.0]
    monkeypatch.setattr("app.core.silence.time.monotonic", lambda: time[0])
    return time


def is_admitted(known: Silence) -> bool:
    try:
        known.admit()
    except Unanswered:
        return False
    return True


def test_a_database_that_answers_is_open_to_all(now: list[float]) -> None:
    assert all(is_admitted(Silence()) for _ in range(3))


def test_one_a_second_tries_a_database_that_is_silent(now: list[float]) -> None:
    known = Silence()
    known.begin()
    assert not is_admitted(known)
    now[0] += 1.0
    assert [is_admitted(known) for _ in range(3)] == [True, False, False]
    now[0] += 1.0
    assert [is_admitted(known) for _ in range(2)] == [True, False]


def test_an_answer_ends_it(now: list[float]) -> None:
    known = Silence()
    known.begin()
    known.end()
    assert all(is_admitted(known) for _ in range(3))


def test_what_nobody_has_tried_for_a_while_is_forgotten(now: list[float]) -> None:
    """Else the first two who come at once, long after the database is well, would be told that it is not."""
    known = Silence()
    known.begin()
    now[0] += 2.5
    assert all(is_admitted(known) for _ in range(3))
