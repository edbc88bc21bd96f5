"""Typed metrics derived from a recording; a group whose meter did not run says why."""
