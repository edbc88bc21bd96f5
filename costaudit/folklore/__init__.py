"""Common claims about the cost of LLM inference, held against this target's own figures."""
