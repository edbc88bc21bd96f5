"""Speaks to people and machines: console, HTML, Markdown, JSON; reads the Audit document only."""
