"""The bus: rooms declare handlers, the bus opens the transaction, decides the fate, publishes."""
