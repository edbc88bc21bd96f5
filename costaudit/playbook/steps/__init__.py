"""One file per step; a step's docstring is its page."""
