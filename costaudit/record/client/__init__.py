"""The probing client: sends requests, stamps what comes back, and watches itself."""
