"""Which passwords are taken: one policy, which the setting PASSWORD_POLICY chooses, for all ways to set one."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from flask import current_app
from marshmallow import ValidationError

from app.core.errors import ValidationFailed
from app.core.schema import NOT_BLANK, Text

COMMON = Path(__file__).with_name("common_passwords.txt")
LONGEST = 128  # characters
OWN_WORD = 3  # characters, of which a word of a name or an address has at least as many to count as one


@dataclass(frozen=True)
class PasswordPolicy:
    """What makes a password good enough.

    ``least``: its characters. ``composition``: it needs a digit and an upper-case letter; a policy without refuses what
    repeats itself or counts up or down instead, which composition makes rare.
    """

    least: int
    composition: bool

    @property
    def meaning(self) -> str:
        """What is asked for, in a sentence for people."""
        kind = "with a digit and an upper-case letter" if self.composition else "neither repetitive nor a sequence"
        return (
            f"{self.least} to {LONGEST} characters, {kind}; not one of the most used passwords, and {self.least} "
            "characters long without the words of the account's name and address."
        )

    def reasons(self, password: str) -> list[str]:
        """Return everything that is wrong with ``password``, whoever's it is."""
        common = password.casefold() in _common_passwords()
        wrong = {
            f"Must be {self.least} to {LONGEST} characters long.": not self.least <= len(password) <= LONGEST,
            **(self._composition(password) if self.composition else self._patterns(password)),
            "Is one of the most used passwords.": common,
        }
        return [reason for reason, applies in wrong.items() if applies]

    @staticmethod
    def _composition(password: str) -> dict[str, bool]:
        return {
            "Must contain a digit.": not any(character.isdecimal() for character in password),
            "Must contain an upper-case letter.": not any(character.isupper() for character in password),
        }

    @staticmethod
    def _patterns(password: str) -> dict[str, bool]:
        folded = password.casefold()
        periods = range(1, 2 * len(folded) // 3 + 1)
        steps = {ord(following) - ord(character) for character, following in pairwise(folded)}
        return {
            "Must not repeat itself or be a sequence.": len(steps) == 1 or any(_repeats(folded, p) for p in periods)
        }

    def demand_foreign(self, password: str, own: tuple[str, ...], *, field: str) -> None:
        """Raise ValidationFailed for ``field`` if ``password`` is little more than an account's ``own`` words."""
        rest = password.casefold()
        words = {word for text in own for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= OWN_WORD}
        for word in sorted(words, key=len, reverse=True):
            rest = rest.replace(word, "")
        if len(rest) < self.least:
            reason = f"Must have {self.least} characters besides words of your name and address."
            raise ValidationFailed(errors={field: [reason]})


# The default is the API's own rule. The other follows NIST SP 800-63B-4, section 3.1.1.2: a password that is the only
# factor has 15 characters and more, no rule on their kinds, and is compared with those that are common or expected.
POLICIES = {
    "default": PasswordPolicy(least=8, composition=True),
    "nist": PasswordPolicy(least=15, composition=False),
}


def policy() -> PasswordPolicy:
    """Return the policy of the settings."""
    return POLICIES[current_app.config["PASSWORD_POLICY"]]


class NewPassword(Text):
    """A password that is to be set, as the policy of the settings has it."""

    def __init__(self) -> None:
        super().__init__(1, LONGEST, required=True, load_only=True)
        self.validators = [_validate]  # The policy's length is the one that counts.

    def described(self) -> dict[str, object]:
        """Return what the OpenAPI document says, which depends on the settings."""
        return {
            "minLength": policy().least,
            "maxLength": LONGEST,
            "pattern": NOT_BLANK,
            "description": policy().meaning,
        }


def _validate(password: str) -> None:
    if reasons := policy().reasons(password):
        raise ValidationError(reasons)


def _repeats(text: str, period: int) -> bool:
    return text[period:] == text[:-period]


@cache
def _common_passwords() -> frozenset[str]:
    """The most used passwords, in lower case, from public lists of leaked ones.

    They are those that have a digit and a letter, and all of 15 characters and more.
    """
    return frozenset(COMMON.read_text("utf-8").split())
