"""The order of the steps: searched, priced and set beside the conventional ones."""
