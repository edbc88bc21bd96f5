"""One symptom per file, found by being there."""
