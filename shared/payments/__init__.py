"""The payment providers: one port, its adapters, and the registry that opens them."""
