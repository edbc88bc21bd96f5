"""The only room that meets the machine: engines drive a target, meters watch it."""
