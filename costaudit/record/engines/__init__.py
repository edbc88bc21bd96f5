"""The ways to drive one kind of target."""
