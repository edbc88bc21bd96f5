"""A server watched: each second a window, a diagnosis, a screen, and metrics of our own."""
