"""Fleets that never were: their metrics as a Prometheus would have scraped them."""
