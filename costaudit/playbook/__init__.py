"""The playbook: each step is one file under steps/, found by being there."""
