"""Did a step deliver what was predicted? Measured after the change, beside the prediction."""
