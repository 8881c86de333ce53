"""`make bench`: what the whole stack does, as ratios to floors measured in the same run."""
