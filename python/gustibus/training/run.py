"""One run from data to artifact: read, encode, split, fit, place, save."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gustibus import selftest
from gustibus.artifact import Artifact, People, check_target
from gustibus.data import Dataset, Split, four_cells, given_split, read
from gustibus.encoders import Encoder, load_encoder
from gustibus.errors import ConfigError
from gustibus.models.automatic import fit_any
from gustibus.models.base import PreferenceModel, Progress
from gustibus.models.fingerprint import fingerprint
from gustibus.models.validation import representations
from gustibus.onboarding import Pairs, QuestionPool, build_pool, limits_for
from gustibus.rewards import Transform
from gustibus.scoring import Scorer
from gustibus.training.askable import askable
from gustibus.training.attributes import Attributes
from gustibus.training.config import RunConfig
from gustibus.training.graded import choose_strengths
from gustibus.training.senders import Limited, influences, limited
from gustibus.training.sets import language_tags, people_rows, training_set, valid_set
from gustibus.types import F32, I64

_REFERENCE = 512
_SLOW = ("transformers",)  # encoders whose vectors take longer to make than to keep
_NEARLY_ALL = 0.999  # of the embeddings, whose length later ones are measured by
_ENOUGH = 40  # questions that a pool should have, three times what a session asks


def train(config: RunConfig, *, progress: Progress | None = None, resume: bool = True) -> Artifact:
    """Train and save; an interrupted run of the same configuration goes on where it was.

    Args:
        config: the run.
        progress: called with the stage, how much of it is done, and a figure.
        resume: False starts over even where a checkpoint lies.

    Returns:
        The saved artifact, its digest set.

    Raises:
        InputError: the data is wrong; the message names file, row and column. Or `config.output` is
            there and holds something else.
        ConfigError: the run is wrong.
    """
    if not isinstance(config, RunConfig):
        message = f"config: expected a RunConfig, got {type(config).__name__}"
        raise ConfigError(message, where="config")
    check_target(Path(config.output))  # now, not when hours of fitting are to be saved
    checkpoint = Path(f"{config.output}.checkpoint")
    if not resume:
        _clear(checkpoint)
    weighed_by = Attributes(config) if config.rewards or config.ratings else None
    given, encoder = load_data(config, vectors=checkpoint / "vectors")
    split = make_split(given, config)
    options = dict(config.model_options)
    if weighed_by is not None:
        options |= weighed_by.options(given, split)
    tags = language_tags(given, config.languages) if config.languages else []
    asked = askable(given, split["train"], config)
    dataset, graded = given, None
    if config.strengths:
        graded = choose_strengths(
            given, split, config.strengths, config.strength_exponent,
            device=config.device, progress=progress,
        )  # fmt: skip
        dataset = graded.strengths.applied(given)
    degrees = "degree" if "degree_ce" in config.auxiliary else ""
    limits = limited(
        dataset, [split[name] for name in ("train", "valid_people") if name in split],
        keys=config.keys, key_share=config.key_share, trusted=config.trusted_keys,
        people=config.limit_people,
    )  # fmt: skip
    weighed = limits.dataset
    fitting, _ = training_set(
        weighed, split["train"], groups=config.groups, margins=config.margins, degrees=degrees
    )
    valid = valid_set(weighed, split, groups=config.groups, margins=config.margins, degrees=degrees)
    if config.objective:
        options |= {"objective": config.objective, "objective_options": config.objective_options}
    if config.auxiliary:
        options["auxiliary"] = config.auxiliary
    model, report = fit_any(
        config.model, fitting, valid, seed=config.seed, device=config.device,
        progress=progress, checkpoint=checkpoint, **options,
    )  # fmt: skip
    placing = np.concatenate([split[n] for n in ("train", "val", "valid_people") if n in split])
    artifact = Artifact(
        model=model,
        card=card(config, given, split, encoder, model, report)
        | ({} if graded is None else {"strengths": graded.report})
        | _told_of_senders(config, model, limits, split["train"]),
        people=place_people(model, dataset, placing),
        reference=reference(model, dataset, split["train"], config.seed),
        pool=_pool(model, dataset, asked, config, tags),
        transform=Transform(config.transform, config.transform_options)
        if config.transform
        else None,
    )
    artifact = with_self_test(artifact, encoder).save(config.output)
    _clear(checkpoint)
    return artifact


def _told_of_senders(
    config: RunConfig, model: PreferenceModel, limits: Limited, rows: I64
) -> dict[str, Any]:
    """What the card says of limits, and of what each sender has changed; nothing where none were asked for."""
    told: dict[str, Any] = {}
    if config.keys or config.limit_people:
        told["limits"] = limits.told
    if config.keys:
        told["influence"] = influences(model, limits.dataset, rows, config.keys)
    return told


def with_self_test(artifact: Artifact, encoder: Encoder | None) -> Artifact:
    """The artifact with pairs in its card by which whoever serves it tests what encodes there."""
    if encoder is None:
        return artifact
    represent = Scorer(artifact, encoder=encoder).represent
    found = {selftest.CARD: selftest.recorded(artifact.model, represent)}
    return replace(artifact, card={**artifact.card, **found})


def load_data(config: RunConfig, *, vectors: Path | None = None) -> tuple[Dataset, Encoder | None]:
    """The data with features, and the encoder that made them (None for ready-made embeddings).

    Args:
        config: the run.
        vectors: where those of a slow encoder are kept, unless it has a cache of its own.
    """
    dataset = read(
        config.data, layout=config.layout, columns=config.columns or None,
        identical=config.identical,
    )  # fmt: skip
    if config.encoder == "auto" and dataset.item_features is not None:
        return dataset, None
    name = "static" if config.encoder == "auto" else config.encoder
    options = dict(config.encoder_options)
    if vectors is not None and name in _SLOW:
        options.setdefault("cache", vectors)
    encoder = load_encoder(name, **options)
    c = dataset.comparisons
    items = encoder.encode(list(c.item_texts), progress=True)
    prompts = encoder.encode(list(c.prompts), progress=True)
    return replace(dataset, item_features=items, prompt_features=prompts), encoder


def make_split(dataset: Dataset, config: RunConfig) -> Split:
    """The parts of the data, as `RunConfig.split` says; never one that leaks."""
    kind = config.split
    if kind == "auto":
        kind = "given" if dataset.comparisons.split is not None else "four_cells"
    if kind == "given":
        return given_split(
            dataset, valid_people=config.valid_people, seed=config.seed, repeats="drop"
        )
    if kind == "four_cells":
        return four_cells(
            dataset.comparisons, new_users=config.new_users, new_prompts=config.new_prompts,
            valid_people=config.valid_people, seed=config.seed,
        )  # fmt: skip
    c = dataset.comparisons
    people = np.random.default_rng(config.seed).permutation(len(c.user_ids))
    valid = np.isin(c.user, people[: int(config.valid_people * len(people))])
    parts = {"train": np.flatnonzero(~valid), "valid_people": np.flatnonzero(valid)}
    return Split({name: rows for name, rows in parts.items() if len(rows)}, "item")


def place_people(model: PreferenceModel, dataset: Dataset, rows: I64) -> People:
    """Posteriors of everybody who answered in `rows`."""
    view, people, starts = people_rows(dataset, rows)
    a, b = representations(model, view, np.arange(len(view)))
    placed = model.place(
        a, b, view.target.astype(np.float64), weight=view.weight.astype(np.float64), starts=starts
    )
    return People(
        tuple(dataset.comparisons.user_ids[p] for p in people),
        placed.mean.astype(np.float32),
        placed.covariance.astype(np.float32),
        np.diff(starts).astype(np.int32),
        made_by=fingerprint(model),
    )


def reference(model: PreferenceModel, dataset: Dataset, rows: I64, seed: int) -> F32:
    """Representations `(k, r)` of a fixed sample of training responses, for normalised scores."""
    c = dataset.comparisons
    chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:_REFERENCE])
    assert dataset.item_features is not None, "training data has features"
    prompts = None
    if model.prompt_dim and dataset.prompt_features is not None:
        prompts = dataset.prompt_features[c.prompt[chosen]]
    return model.represent(dataset.item_features[c.a[chosen]], prompts)


def _pool(
    model: PreferenceModel, dataset: Dataset, rows: I64, config: RunConfig, tags: Sequence[str]
) -> QuestionPool | None:
    """Questions from the pairs that people were shown; none for a model without a personal part."""
    if config.questions == 0 or model.user_dim == 0:
        return None
    c = dataset.comparisons
    assert dataset.item_features is not None, "training data has features"
    shown = np.random.default_rng(config.seed).permutation(rows)[: 10 * config.questions]
    pairs = Pairs(c.prompt[shown], c.a[shown], c.b[shown])
    limits = limits_for(pairs, c.item_texts, enough=min(_ENOUGH, config.questions))
    prompts, features = c.prompts, dataset.prompt_features if model.prompt_dim else None
    locales = None
    if any(tags):
        pairs, origin, locales = _by_language(pairs, [tags[row] for row in shown])
        prompts = tuple(prompts[code] for code in origin)
        features = None if features is None else features[origin]
    return build_pool(
        model, dataset.item_features, pairs, texts=c.item_texts, prompts=prompts,
        prompt_features=features, locales=locales, size=config.questions, seed=config.seed,
        max_words=limits.max_words, max_ratio=limits.max_ratio,
    )  # fmt: skip


def _by_language(pairs: Pairs, tags: Sequence[str]) -> tuple[Pairs, I64, list[str]]:
    """Pairs `(c,)` whose prompts are another for every language, as one prompt may have answers in several.

    A pair that was shown more than once has the first tag that it was given.

    Returns:
        The pairs, and `(q,)` of each of their prompts the code that it had and its language.
    """
    prompt, a, b = pairs
    names = list(zip(prompt, np.minimum(a, b), np.maximum(a, b), strict=True))
    given: dict[tuple[int, int, int], str] = {}
    for name, tag in zip(names, tags, strict=True):
        given[name] = given.get(name) or tag
    codes: dict[tuple[int, str], int] = {}
    code = [codes.setdefault((name[0], given[name]), len(codes)) for name in names]
    origin = np.array([at for at, _ in codes], np.int64)
    return Pairs(np.array(code, np.int64), a, b), origin, [tag for _, tag in codes]


def card(
    config: RunConfig,
    dataset: Dataset,
    split: Split,
    encoder: Encoder | None,
    model: PreferenceModel,
    report: Mapping[str, Any],
) -> dict[str, Any]:
    """The JSON record of what was done."""
    from gustibus import __version__

    c = dataset.comparisons
    used = split["train"]
    loss = report.get("held_out_loss")
    spec = None
    if encoder is not None:
        spec = {"name": encoder.name, "options": dict(encoder.options),
                "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    return {
        "name": Path(config.output).name,
        "family": model.family,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder": spec,
        "data": {
            "name": dataset.name,
            "digest": data_digest(dataset),
            "people": len(np.unique(c.user[used])),
            "comparisons": len(used),
            "items": len(np.unique(np.concatenate([c.a[used], c.b[used]]))),
            "prompts": len(np.unique(c.prompt[used])),
            "ties": int((c.target[used] == 0.5).sum()),
            "embedding_norm": embedding_norm(dataset, used),
            "people_given": len(c.user_ids),
            "comparisons_given": len(c),
            "identical_dropped": c.tally.get("identical", 0),
        },
        "split": {name: len(rows) for name, rows in split.items()},
        "run": config.as_json(),
        "fit": dict(report),
        "metrics": {} if loss is None else {"log_loss_of_validation_people": float(loss)},
    }


def embedding_norm(dataset: Dataset, rows: I64) -> float:
    """Length that 99.9 % of the embeddings of the responses in `rows` have at most."""
    assert dataset.item_features is not None, "training data has features"
    c = dataset.comparisons
    used = np.unique(np.concatenate([c.a[rows], c.b[rows]]))
    lengths = np.linalg.norm(dataset.item_features[used].astype(np.float64), axis=1)
    return float(np.quantile(lengths, _NEARLY_ALL))


def data_digest(dataset: Dataset) -> str:
    """Identity of the comparisons that went in, independent of file format."""
    c = dataset.comparisons
    state = hashlib.blake2b(digest_size=16)
    for column in (c.user, c.prompt, c.a, c.b, c.target, c.weight):
        state.update(np.ascontiguousarray(column).tobytes())
    for names in (c.user_ids, c.item_ids, c.prompts):
        state.update("\0".join(names).encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def _clear(checkpoint: Path) -> None:
    if checkpoint.is_dir():
        shutil.rmtree(checkpoint)
