"""A database that does not answer is not called, but for one call a second that tries."""

import pytest

from app.core.db.breaker import DatabaseBreaker, Unanswered


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the clock, in seconds, which goes on when it is told to."""
    time = [100.0]
    monkeypatch.setattr("app.core.db.breaker.time.monotonic", lambda: time[0])
    return time


def passes(breaker: DatabaseBreaker) -> bool:
    try:
        breaker.before_call()
    except Unanswered:
        return False
    return True


def test_a_database_that_answers_is_open_to_all(now: list[float]) -> None:
    assert all(passes(DatabaseBreaker()) for _ in range(3))


def test_one_a_second_tries_a_database_that_is_silent(now: list[float]) -> None:
    breaker = DatabaseBreaker()
    breaker.trip()
    assert not passes(breaker)
    now[0] += 1.0
    assert [passes(breaker) for _ in range(3)] == [True, False, False]
    now[0] += 1.0
    assert [passes(breaker) for _ in range(2)] == [True, False]


def test_an_answer_ends_it(now: list[float]) -> None:
    breaker = DatabaseBreaker()
    breaker.trip()
    breaker.reset()
    assert all(passes(breaker) for _ in range(3))


def test_what_nobody_has_tried_for_a_while_is_forgotten(now: list[float]) -> None:
    """Else the first two who come at once, long after the database is well, would be told that it is not."""
    breaker = DatabaseBreaker()
    breaker.trip()
    now[0] += 2.5
    assert all(passes(breaker) for _ in range(3))
