"""One file per kind of way to pay, each with a constant KIND; found by being there."""
