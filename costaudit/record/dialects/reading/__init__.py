"""What several wire formats have in common."""
