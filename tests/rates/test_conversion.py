"""Prices in other currencies: exact, in minor units of that currency."""

import pytest

from app.rates.conversion import convert


@pytest.mark.parametrize(
    ("amount", "base", "rate", "currency", "converted"),
    [
        (1250, "EUR", "1.08", "USD", 1350),
        (1, "EUR", "1.08", "USD", 1),
        (50, "EUR", "1.09", "USD", 55),  # 54.5
        (50, "EUR", "1.0899999999999999999", "USD", 54),
        (150, "EUR", "0.99", "USD", 149),  # 148.5: halves go up, also to odd numbers
        (1250, "EUR", "163", "JPY", 2038),  # 2037.5 yen, which have no decimals
        (1250, "EUR", "0.333", "KWD", 4163),  # 4.1625 dinars, which have three
        (1250, "EUR", "1", "CLF", 125000),
        (1250, "JPY", "0.00613", "EUR", 766),
        (1000, "KWD", "490", "JPY", 490),
        (0, "EUR", "1.08", "USD", 0),
        (1, "EUR", "0.000000001", "USD", 0),
        (10**12, "EUR", "1.0812345678901234567", "USD", 1081234567890),
        (2**53 - 1, "EUR", "1", "USD", 2**53 - 1),
        (10**12, "EUR", "9008", "USD", None),
        (10**12, "EUR", "1000000000", "CLF", None),
    ],
)
def test_an_amount_is_converted_exactly_and_halves_are_rounded_up(
    amount: int, base: str, rate: str, currency: str, converted: int | None
) -> None:
    assert convert(amount, rate, base=base, currency=currency) == converted
