"""The instruments: each opens, reads and closes one source, and says when it cannot."""
