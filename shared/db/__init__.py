"""PostgreSQL: pools, transactions, migrations, and the embedded server of `make run`."""
