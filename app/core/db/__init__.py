"""The database: tables, engines, statements and what fails in them."""
