"""What the world says: devices and prices, as data with source and date."""
