"""Reading a server's metrics without asking it for anything else: live, or from saved pages."""
