"""Demand, capacity, contracts: the cheapest way to pay for what is served, and its risk."""
