"""Families of engines, one small file each, found by being there."""
