"""Benchmarks that users run on their own data."""

from gustibus.bench.league import METHODS, Entry, LeagueConfig, run_league
from gustibus.bench.standings import League

__all__ = ["METHODS", "Entry", "League", "LeagueConfig", "run_league"]
