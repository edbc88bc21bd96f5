"""Scenario, step-time model and scheduler simulation: what would happen if."""
