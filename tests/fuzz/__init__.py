"""Random calls of everything that the compiled core exports; `make fuzz` runs them for long."""
