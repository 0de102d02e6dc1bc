"""The community's credits: accounts, transfers between them, and the ledger that they add up to.

In transfers and statements, a party that is no member (the community, an order's escrow) is `null`. A reversal that the
books do not allow any more (a party was deleted) is 409 `not_reversible`, one for which the credits are spent 409
`insufficient_funds`. A movement that would carry a balance past 2^53-1 is 409 `balance_too_large`. Every role may send
transfers and read its own wallet.
"""
