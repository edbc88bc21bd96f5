"""The past of one server or of a fleet, asked of the user's own Prometheus, Thanos or Mimir."""
