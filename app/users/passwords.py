"""How passwords are kept: as hashes by argon2id (RFC 9106)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app


@cache
def _hasher(memory: int, passes: int) -> PasswordHasher:
    return PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)


def _configured_hasher() -> PasswordHasher:
    return _hasher(current_app.config["PASSWORD_HASH_MEMORY"], current_app.config["PASSWORD_HASH_PASSES"])


@cache
def _dummy_hash(hasher: PasswordHasher) -> str:
    return hasher.hash("")


def warm_up() -> None:
    """Compute the hash that unknown users are compared with, so that the first takes no longer than the others."""
    _dummy_hash(_configured_hasher())


def hash_password(password: str) -> str:
    """Return the hash to keep. Slow by design: call it before a transaction begins."""
    return _configured_hasher().hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Return whether ``password`` is the one of ``password_hash``; without a hash, False in the same time."""
    hasher = _configured_hasher()
    try:
        hasher.verify(password_hash or _dummy_hash(hasher), password)
    except (Argon2Error, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Return whether the hash was made with other parameters than today's."""
    return _configured_hasher().check_needs_rehash(password_hash)
