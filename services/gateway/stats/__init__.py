"""A link's numbers: views, resolves, attempts, sales and what they brought."""
