"""The community's credits: accounts, transfers between them, and the ledger that they add up to."""
