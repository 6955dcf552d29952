"""Comparisons in and out of files, splits that do not leak, and worlds with known truth."""

from gustibus.data import lists  # fills rows of LAYOUTS
from gustibus.data.columns import parse_columns
from gustibus.data.comparisons import SPLITS, Comparisons
from gustibus.data.dataset import Dataset, TextEncoder, read
from gustibus.data.files import Table, read_table
from gustibus.data.folder import read_folder, write_folder
from gustibus.data.layouts import LAYOUTS, to_comparisons
from gustibus.data.shots import Shots, nested_shots
from gustibus.data.splits import (
    Split,
    check_leaks,
    four_cells,
    given_split,
    split_by_person,
    split_by_prompt,
)

__all__ = [
    "LAYOUTS",
    "SPLITS",
    "Comparisons",
    "Dataset",
    "Shots",
    "Split",
    "Table",
    "TextEncoder",
    "check_leaks",
    "four_cells",
    "given_split",
    "lists",
    "nested_shots",
    "parse_columns",
    "read",
    "read_folder",
    "read_table",
    "split_by_person",
    "split_by_prompt",
    "to_comparisons",
    "write_folder",
]
