"""What a fitted model says about held-out answers, as columns that probes read."""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.data.arrays import names
from gustibus.evaluation.contenders import Contender
from gustibus.evaluation.probes.properties import property_differences
from gustibus.evaluation.probes.surface import surface_annotations
from gustibus.evaluation.protocol import Trial


def predicted_columns(trial: Trial, contender: Contender) -> dict[str, np.ndarray[Any, Any]]:
    """One row per judged answer that is no tie, people placed on all that may place them.

    Returns:
        `user`, `prompt` and `part` (the judged part); `group` where the table of people has such a
        column; `margins` of the preferred over the other response in log-odds; `chose_a`; and for
        `property_effects` on the model's own choices `x`, what side a has more of, and `y`, whether
        the model prefers a.
    """
    c = trial.dataset.comparisons
    rows, parts, margins = [], [], []
    for group in trial.groups:
        said = contender.predict(group.evidence, group.judged)
        rows.append(group.judged.row)
        parts.append(np.array(group.cells, dtype=object)[group.cell])
        # the probability is averaged over what is not known about the person, the margin is not
        p = np.clip(said.p, 1e-12, 1 - 1e-12)
        margins.append(np.log(p / (1 - p)))
    row, part, margin = np.concatenate(rows), np.concatenate(parts), np.concatenate(margins)
    decided = c.target[row] != 0.5
    row, part, margin = row[decided], part[decided], margin[decided]
    chose_a = c.target[row] > 0.5
    columns = {
        "user": np.array(c.user_ids, dtype=object)[c.user[row]],
        "prompt": np.array(c.prompts, dtype=object)[c.prompt[row]],
        "part": part,
        "margins": np.where(chose_a, margin, -margin),
        "chose_a": chose_a,
    }
    noted = surface_annotations(c.item_texts)
    columns["x"] = property_differences(noted[c.a[row]], noted[c.b[row]])
    columns["y"] = margin > 0
    if "group" in trial.dataset.user_table:
        columns["group"] = names("group", trial.dataset.user_table["group"])[c.user[row]]
    return columns
