"""What the bench of the simulation serves, and where its traffic comes from."""
