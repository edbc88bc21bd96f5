"""The charts of the report, one file each: a constant CHART, named after the file."""
