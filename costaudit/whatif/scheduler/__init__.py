"""Iteration-level scheduling, written so that it runs interpreted or compiled alike.

Every function here takes a `State` first, knows numbers and their arrays only, and calls nothing
outside this room: see `compiled`.
"""
