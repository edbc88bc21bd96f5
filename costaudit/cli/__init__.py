"""Commands of the `costaudit` program; they decide nothing."""
