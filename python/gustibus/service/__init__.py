"""The HTTP service: scores, comparisons, onboarding and people over one route table."""
