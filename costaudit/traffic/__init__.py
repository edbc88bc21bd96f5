"""The workload to price: requests with lengths, shared prefixes and arrivals."""
