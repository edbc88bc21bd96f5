"""Two sides held against each other: what changed, how sure that is, and what it is made of."""
