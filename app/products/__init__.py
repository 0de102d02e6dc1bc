"""Products: what members offer.

One that is not active is shown, and cannot be ordered; a withdrawn one is gone, and lets go of its picture.

`price_in` is there only with `currency`, and `null` also where the amount would be above 2^53-1. Halves are rounded
up; how many decimals a currency has is ISO 4217's business (none for JPY, three for KWD). A rate is at hand once
somebody has asked for it at `/api/v1/rates`. An entity tag that was read with `currency` is none for `If-Match`.
"""
