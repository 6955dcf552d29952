"""Items learned from new answers, without training again.

An item that is met after a training is scored by its features alone. Once enough people have answered about
it, what it has beside them is placed as a person is: by the posterior engine, under the distribution that
the known items show (`Hybrid.with_answers`). People keep their user vectors, whose meaning does not change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gustibus.artifact import Artifact, People, check_target
from gustibus.data import Dataset
from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.models.blend import Blend
from gustibus.models.hybrid import Hybrid
from gustibus.models.item_answers import ItemAnswers
from gustibus.onboarding import QuestionPool
from gustibus.posterior import predict
from gustibus.training.config import RunConfig
from gustibus.training.run import data_digest, load_data, place_people, with_self_test
from gustibus.types import F32, F64, I64, Bool

CARD = "items_learned"
"""Entry of the card: what items were learned after the training, one record for each time."""
LEAST = 8
"""Answers about an item for it to be learned."""
_FOLDS, _SEED = 5, 0
_SAME = 1e-5  # of the largest number of a representation: rounding apart, it is the same one


@dataclass(frozen=True)
class Learned:
    """What answers taught about items.

    Attributes:
        items: how many were learned, of those in the table.
        given: items in the table.
        answers: comparisons about them.
        people: who gave those, as far as the model did not know them.
        before: log loss of the answers under the model as it was, in nats.
        after: the same, each answer foretold by an item that was learned from the others (five parts).
    """

    items: int
    given: int
    answers: int
    people: int
    before: float
    after: float


def update_items(
    model: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    least: int = LEAST,
    again: bool = False,
) -> tuple[Artifact, Learned]:
    """Learn the items of a table of comparisons, and save the model that knows them.

    Args:
        model: folder of the model.
        data: comparisons, as the model was trained on: its encoder, its names of columns.
        output: folder of the new model; the old one stays as it is.
        least: answers about an item for it to be learned.
        again: learn items anew that the model knows, too. The table then has to have all answers about
            them, as nothing else counts.

    Raises:
        InputError: the table is wrong, the model's family learns no items one by one, no item has
            enough answers, or `output` holds something else.
        ArtifactError: the model cannot be read.
    """
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        message = f"least: expected a whole number from 1 on, got {least!r}"
        raise InputError(message, where="least")
    check_target(Path(output))
    artifact = Artifact.load(model)
    config = RunConfig.of_card(artifact.card, str(data))
    dataset, encoder = load_data(config)
    if artifact.strengths is not None:
        dataset = artifact.strengths.applied(dataset)
    found, learned = learn_items(artifact, dataset, least=least, again=again)
    return with_self_test(found, encoder).save(output), learned


def learn_items(
    artifact: Artifact, dataset: Dataset, *, least: int = LEAST, again: bool = False
) -> tuple[Artifact, Learned]:
    """The same model with what the answers say of items; see `update_items`.

    Raises:
        InputError: the family learns no items one by one, or no item has enough answers.
    """
    model = _teachable(artifact.model)
    people = _people(artifact, dataset)
    c, x = dataset.comparisons, dataset.item_features
    assert x is not None, "loaded data has features"
    counted = c.weight > 0
    sides = np.concatenate([c.a[counted], c.b[counted]])
    counts = np.bincount(sides, minlength=len(x))
    known = np.all([one.known.find(x) >= 0 for one in _learners(model)], axis=0)
    items = _different(model, x, np.flatnonzero((counts >= least) & (again | ~known)))
    if len(items) == 0:
        new = "" if again else " that the model does not know yet"
        message = (
            f"data: expected at least {least} answers about some item{new}, got fewer about each"
        )
        raise InputError(message, where="data")
    answers = _Answers(model, x, dataset, people, items)
    taught = answers.taught(np.ones(len(answers), np.bool_))
    learned = Learned(
        len(items), len(x), int(answers.about.sum()), len(people) - len(artifact.people),
        answers.loss(model, np.ones(len(answers), np.bool_)), answers.loss_by_parts(),
    )  # fmt: skip
    moved = _Moved(model.represent(x[items]), taught.represent(x[items]))
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "data": dataset.name,
        "digest": data_digest(dataset), "items": learned.items, "answers": learned.answers,
        "log_loss": {"before": learned.before, "after": learned.after},
    }  # fmt: skip
    card = {**artifact.card, CARD: [*artifact.card.get(CARD, ()), record]}
    return replace(
        artifact, model=taught, card=card, people=people, digest="",
        reference=moved.among(artifact.reference), pool=moved.pool(artifact.pool),
        trained=None,  # the answers of now are not among those hashes; names tell who is in it
    ), learned  # fmt: skip


def _teachable(model: PreferenceModel) -> Hybrid | Blend:
    """The model, once it is known that it learns items one by one.

    Raises:
        InputError: it does not.
    """
    if isinstance(model, Hybrid | Blend) and model.teachable and not model.prompt_dim:
        return model
    what = "knows no items; training with known_items = 'always' makes a family take them"
    if isinstance(model, Hybrid | Blend):
        what = "learns them all at once"
    if model.prompt_dim:
        what = "reads prompts"
    message = (
        "model: items are learned one by one where a model knows items, is straight in people and "
        f"reads no prompts; this one ({model.family!r}) {what}"
    )
    raise InputError(message, where="model")


def _learners(model: Hybrid | Blend) -> tuple[Hybrid, ...]:
    return (model,) if isinstance(model, Hybrid) else model.teachable


def _people(artifact: Artifact, dataset: Dataset) -> People:
    """Those of the model, and whoever else has answered, placed by that."""
    old, c = artifact.people, dataset.comparisons
    new = [code for code, name in enumerate(c.user_ids) if name not in old]
    rows = np.flatnonzero(np.isin(c.user, new))
    if len(rows) == 0:
        return old
    more = place_people(artifact.model, dataset, rows)
    kept = len(old.covariances) == len(old)
    nothing = np.zeros((0, *more.covariances.shape[1:]), np.float32)
    return People(
        (*old.ids, *more.ids), np.concatenate([old.means, more.means]),
        np.concatenate([old.covariances, more.covariances]) if kept else nothing,
        np.concatenate([old.counts, more.counts]), made_by=more.made_by,
    )  # fmt: skip


def _different(model: Hybrid | Blend, x: F32, items: I64) -> I64:
    """Items without those whose features are another's among them, which are the same item."""
    number = _learners(model)[0].known.with_more(x[items]).find(x[items])
    return items[np.unique(number, return_index=True)[1]]


class _Answers:
    """The comparisons as answers about items, each from both of its sides."""

    def __init__(
        self, model: Hybrid | Blend, x: F32, dataset: Dataset, people: People, items: I64
    ) -> None:
        c = dataset.comparisons
        # Names of people without an answer here, as `Dataset.take` leaves them, are of nobody.
        row = np.array([people.rows.get(name, 0) for name in c.user_ids], np.int64)
        self.model, self.x = model, x[items]
        self.users: F64 = people.means[row[c.user]].astype(np.float64)
        self.target: F64 = c.target.astype(np.float64)
        self.weight: F64 = c.weight.astype(np.float64)
        number = _learners(model)[0].known.with_more(self.x)
        place = {int(n): at for at, n in enumerate(number.find(self.x))}
        item = np.array([place.get(int(n), -1) for n in number.find(x)], np.int64)
        self.a, self.b = item[c.a], item[c.b]
        self._features = x[c.a], x[c.b]
        self.about: Bool = (self.a >= 0) | (self.b >= 0)

    def __len__(self) -> int:
        return len(self.target)

    def taught(self, used: Bool) -> Hybrid | Blend:
        """The model that the answers of some rows have taught."""
        a, b = (self.model.represent(side) for side in self._features)
        left, right = np.flatnonzero(used & (self.a >= 0)), np.flatnonzero(used & (self.b >= 0))
        rows = np.concatenate([left, right])
        answers = ItemAnswers(
            np.concatenate([self.a[left], self.b[right]]), np.concatenate([b[left], a[right]]),
            self.users[rows], np.concatenate([self.target[left], 1 - self.target[right]]),
            self.weight[rows],
        )  # fmt: skip
        return self.model.with_answers(self.x, answers)

    def loss(self, model: PreferenceModel, judged: Bool) -> float:
        """Log loss `-t log p - (1 - t) log(1 - p)` of answers about the items, by weight."""
        rows = np.flatnonzero(self.about & judged)
        return float(np.average(self._losses(model, rows), weights=self.weight[rows]))

    def loss_by_parts(self) -> float:
        """The same where every answer is foretold without itself."""
        part = np.random.default_rng(_SEED).permutation(len(self)) % _FOLDS
        rows, losses = [], []
        for fold in range(_FOLDS):
            held = np.flatnonzero((part == fold) & self.about)
            if len(held):
                rows.append(held)
                losses.append(self._losses(self.taught(part != fold), held))
        return float(np.average(np.concatenate(losses), weights=self.weight[np.concatenate(rows)]))

    def _losses(self, model: PreferenceModel, rows: I64) -> F64:
        a, b = (model.represent(side[rows]) for side in self._features)
        margin = model.margin(self.users[rows], a, b)
        p = predict(margin, np.zeros(len(rows)), answering=model.answering).clip(1e-9, 1 - 1e-9)
        t = self.target[rows]
        return np.asarray(-t * np.log(p) - (1 - t) * np.log1p(-p))


class _Moved:
    """Representations that have changed, found again by what they were."""

    def __init__(self, old: F32, new: F32) -> None:
        self._old, self._new = old, new
        self._reach = _SAME * float(np.abs(old).max(initial=1.0))

    def among(self, kept: F32) -> F32:
        """`(n, r)` with those that have changed in the place of what they were."""
        out = kept.copy()
        for old, new in zip(self._old, self._new, strict=True):
            out[np.abs(kept - old).max(1, initial=0.0) <= self._reach] = new
        return out

    def pool(self, pool: QuestionPool | None) -> QuestionPool | None:
        """The questions as the model now sees them."""
        if pool is None:
            return None
        return replace(pool, a=self.among(pool.a), b=self.among(pool.b))
