"""Tools on tables of comparisons, which annotate and never overwrite."""
