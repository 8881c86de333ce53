"""The auditor: reads every database and the provider's ledger, and trusts none of them alone.

It may run against a live installation: it only reads, in batches, and a breach counts only when
it is still there a moment later, because facts travel between services for a moment.
"""
