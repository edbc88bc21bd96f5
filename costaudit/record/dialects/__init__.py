"""Wire formats of servers, one small file each, found by being there."""
