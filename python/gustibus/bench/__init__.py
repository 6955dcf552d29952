"""Benchmarks that users run on their own data."""

from gustibus.bench.league import GRADED, METHODS, Entry, LeagueConfig, run_league
from gustibus.bench.standings import League

__all__ = ["GRADED", "METHODS", "Entry", "League", "LeagueConfig", "run_league"]
