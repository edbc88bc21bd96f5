"""One file per claim, found by being there; its docstring says where it is from and how tried."""
