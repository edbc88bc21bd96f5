"""Two recordings for people: the gate's statistics without a budget."""
