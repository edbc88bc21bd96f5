"""The probe run on a server: what is sent, in which order, and where it stops."""
