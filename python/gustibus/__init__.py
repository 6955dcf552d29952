"""gustibus: learn each person's own reward from comparisons."""
