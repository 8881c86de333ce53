"""Subscription plans, which links and sessions offer."""
