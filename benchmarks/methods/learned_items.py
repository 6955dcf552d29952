"""What `gustibus update` gains on items that a training never met; prints a Markdown table.

A model is trained on the people's `train` rows. Of the people who answered about new items, half teach them
(`learn_items`) and the other half's answers are foretold, then the halves change places; nobody's answers
are foretold by a model that has seen them. Beside it stand the model as it was, which knows new items by their
features alone, and the same family trained anew with the teaching half's answers among its rows. Intervals
are over people, and paired.

Run: python benchmarks/methods/learned_items.py DATA [DATA ...] [--model hierarchical] [--retrain]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from gustibus.data import read
from gustibus.data.folder import write_folder
from gustibus.evaluation.intervals import Resamples
from gustibus.posterior import predict
from gustibus.training import RunConfig, learn_items, train

NEW = "test_new_items"


def trained(folder, dataset, model):
    """The artifact of a training on the rows of a data set."""
    write_folder(dataset, folder / "data")
    return train(
        RunConfig(
            data=str(folder / "data"), output=str(folder / "model"), model=model,
            model_options={"known_items": "always"},
        )
    )  # fmt: skip


def foretold(artifact, dataset, rows):
    """Whether each answer is foretold, half for a tie, and its log loss in nats."""
    c, x, model = dataset.comparisons, dataset.item_features, artifact.model
    people = artifact.people
    user = people.means[[people.rows[c.user_ids[code]] for code in c.user[rows]]]
    a, b = (model.represent(x[side[rows]]) for side in (c.a, c.b))
    margin = model.margin(user.astype(np.float64), a, b)
    p = predict(margin, np.zeros(len(rows)), answering=model.answering).clip(1e-9, 1 - 1e-9)
    t = c.target[rows]
    right = np.where(margin == 0, 0.5, (margin > 0) == (t > 0.5))
    return right, -t * np.log(p) - (1 - t) * np.log1p(-p)


def halves(dataset, known, seed):
    """Rows about new items of people whom the model knows, by which half of the people gave them."""
    c = dataset.comparisons
    ours = np.array([name in known for name in c.user_ids])
    rows = np.flatnonzero((c.split == NEW) & ours[c.user])
    people = np.random.default_rng(seed).permutation(np.unique(c.user[rows]))
    first = np.isin(c.user[rows], people[: len(people) // 2])
    return rows[first], rows[~first]


def by_person(values, users):
    """`(people,)` means."""
    _, person = np.unique(users, return_inverse=True)
    return np.bincount(person, values) / np.bincount(person)


def shown(found, scale):
    return f"{scale * found.value:.2f} [{scale * found.low:.2f}, {scale * found.high:.2f}]"


def study(source, model, *, retrain):
    """One line of the table."""
    dataset = read(source)
    c = dataset.comparisons
    old = np.flatnonzero(c.split != NEW)
    with tempfile.TemporaryDirectory() as name:
        artifact = trained(Path(name) / "old", dataset.take(old), model)
        found, seconds, taught_by = {}, 0.0, 0
        users = []
        both = halves(dataset, artifact.people, 0)
        for part, (teach, judge) in enumerate((both, both[::-1])):
            start = perf_counter()
            updated, learned = learn_items(artifact, dataset.take(teach))
            seconds, taught_by = seconds + perf_counter() - start, taught_by + len(teach)
            rows = {"as it was": artifact, "updated": updated}
            if retrain:
                more = replace(c, split=np.where(c.split == NEW, "train", c.split))
                rest = replace(dataset, comparisons=more).take(np.concatenate([old, teach]))
                rows["trained anew"] = trained(Path(name) / f"anew{part}", rest, model)
            for one, served in rows.items():
                found.setdefault(one, []).append(foretold(served, dataset, judge))
            users.append(c.user[judge])
    users = np.concatenate(users)
    right = {k: by_person(np.concatenate([r for r, _ in v]), users) for k, v in found.items()}
    loss = {k: by_person(np.concatenate([one for _, one in v]), users) for k, v in found.items()}
    over = Resamples(len(right["updated"]))
    cells = [Path(source).name, str(learned.items), str(taught_by // 2), str(len(right["updated"]))]
    cells += [f"{100 * right[k].mean():.2f}, {loss[k].mean():.4f}" for k in right]
    for k in [k for k in right if k != "updated"]:
        cells.append(shown(over.mean(right["updated"] - right[k]), 100))
    cells.append(f"{seconds / 2:.2f} s")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="folders with a split `test_new_items`")
    parser.add_argument("--model", default="hierarchical")
    parser.add_argument("--retrain", action="store_true", help="also train anew, for comparison")
    options = parser.parse_args()
    for source in options.data:
        print(study(source, options.model, retrain=options.retrain), flush=True)


if __name__ == "__main__":
    main()
