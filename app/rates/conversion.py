"""What a price in the community's currency is in another one."""

from decimal import ROUND_HALF_UP, Context, Decimal

# How many decimals a currency has where that is not 2: ISO 4217, list one, as its maintenance agency publishes it,
# https://www.six-group.com/en/products-services/financial-information/data-standards.html
EXCEPTIONS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS = {code: decimals for decimals, codes in EXCEPTIONS.items() for code in codes.split()}
HUNDREDTHS = 2
MOST = 2**53 - 1  # what every reader of JSON keeps exactly
EXACT = Context(prec=64, rounding=ROUND_HALF_UP)


def convert(amount: int, rate: str, *, base: str, currency: str) -> int | None:
    """Return ``amount``, in minor units of ``base``, in minor units of ``currency``, halves rounded up.

    ``rate`` is what one whole unit of ``base`` is worth. None stands for an amount above MOST.
    """
    shift = DECIMALS.get(currency, HUNDREDTHS) - DECIMALS.get(base, HUNDREDTHS)
    product = EXACT.scaleb(EXACT.multiply(Decimal(amount), Decimal(rate)), shift)
    converted = int(product.to_integral_value(context=EXACT))
    return converted if converted <= MOST else None
