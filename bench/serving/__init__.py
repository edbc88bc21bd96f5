"""Tables of measured serving runs: reading them, and predicting one row from a few others."""
