"""What a live server's metrics show: symptoms, their causes, evidence and fixes."""
