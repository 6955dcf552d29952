"""How easily a ranking is pushed, and what holds it in place."""
