"""The fit of a general preference model: a transitive part first, then blocks on what it leaves.

Where the model is personal, the transitive part is that of hierarchical Bayes, fitted by its own
means; each answer then has as its offset what the person's other answers say of it. Form of the
gate, strength of the ridge, and whether blocks are worth having are chosen on held-out people.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.gpm import GeneralPreference
from gustibus.models.gpm_gate import Gate
from gustibus.models.gpm_module import Blocks, Rows, Statistics, losses, used_rows
from gustibus.models.gpm_options import GpmOptions
from gustibus.models.gpm_transitive import (
    Transitive,
    nobody,
    refit_transitive,
    with_scales,
)
from gustibus.models.gpm_transitive import fit_transitive as fit_transitive_part
from gustibus.models.stepping import Stepper, adam, cosine, scale_rates
from gustibus.models.torch_network import drawn, pick_device
from gustibus.models.validation import (
    HeldOut,
    cyclic_shares,
    everybody,
    held_out_losses,
    hold_out,
    representations,
    simplest,
)


class _Candidate(NamedTuple):
    """One setting of the blocks."""

    blocks: int
    gate: str
    ridge: float


def fit_gpm(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: GpmOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Choose on held-out people, then fit the choice on everybody.

    Raises:
        InputError: there are no comparisons, or a gate is asked for and there are no prompts.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    if options.gate not in ("auto", "none") and train.prompt_features is None:
        message = f"gate: {options.gate!r} needs prompt features, the data has none"
        raise InputError(message, where="gate")
    started = time.perf_counter()
    where = pick_device(device)
    judged = valid if valid is not None and len(valid) else None
    fitter = _Fitter(options, seed, where)
    whole, base, chosen_base = train, nobody(train), None
    if options.personal:
        beside = None if checkpoint is None else checkpoint / "transitive"
        base, chosen_base = fit_transitive_part(
            train, judged, options.transitive,
            seed=seed, device=device, progress=progress, checkpoint=beside,
        )  # fmt: skip
    history: list[dict[str, Any]] = []
    held: float | None = None
    circular: float | None = None
    if judged is None:
        gate = "none" if options.gate == "auto" else options.gate
        candidate = _Candidate(options.blocks, gate, options.ridges[len(options.ridges) // 2])
    else:
        whole = everybody(train, judged)
        first = nobody(train)
        if chosen_base is not None:
            first = refit_transitive(train, chosen_base, options.transitive, where)
        candidate, chosen, history = _choose(fitter, train, judged, first, options, progress)
        held = chosen["valid_loss"] if math.isfinite(chosen["valid_loss"]) else None
        circular = chosen["cyclic_share"]
    model = fitter.fit(whole, base, candidate)
    report = {
        "options": asdict(options) | {"transitive": dict(options.transitive)}, "history": history,
        "chosen": candidate._asdict(), "transitive": chosen_base, "held_out_loss": held,
        "cyclic_share": circular,
        "temperature": model.temperature, "seconds": time.perf_counter() - started,
        "block_scales": model.prior.mean[: model.size].tolist() if model.user_dim else None,
    }  # fmt: skip
    return Fitted(model, report)


def _candidates(options: GpmOptions, *, prompted: bool) -> list[_Candidate]:
    """From the simplest to the most complex."""
    gates: tuple[str, ...] = (options.gate,)
    if options.gate == "auto":
        gates = ("none", "softmax") if prompted else ("none",)
    found = [_Candidate(options.blocks, g, r) for g in gates for r in options.ridges]
    if options.optional and options.head == "hrc":
        ridges = options.ridges[:1] if options.personal else options.ridges
        found = [_Candidate(0, "none", r) for r in ridges] + found
    return found


def _choose(
    fitter: _Fitter, train: TrainingSet, valid: TrainingSet, base: Transitive,
    options: GpmOptions, progress: Progress | None,
) -> tuple[_Candidate, dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    """The simplest candidate as good as the best on held-out people, what is told of it, and of all."""
    split = hold_out(valid)
    candidates = _candidates(options, prompted=train.prompt_features is not None)
    history: list[dict[str, Any]] = []
    found = []
    for done, candidate in enumerate(candidates, 1):
        model = fitter.fit(train, base, candidate)
        each = held_out_losses(model, valid, split)
        found.append(each)
        judged = each[np.isfinite(each)]
        mean = float(judged.mean()) if len(judged) else float("nan")
        told = {"valid_loss": mean, "cyclic_share": mean_cyclic_share(model, valid, split)}
        history.append({**candidate._asdict(), **told})
        if progress is not None:
            progress("gpm", done, len(candidates), mean)
    best = simplest(np.column_stack(found))
    return candidates[best], history[best], history


def mean_cyclic_share(
    model: GeneralPreference, people: TrainingSet, split: HeldOut
) -> float | None:
    """How much of what held-out people think of the items they were asked about runs in circles.

    The mean over people, each placed by their support answers, of the share in `[0, 1]` of squared
    margins that no ranking explains, among the items of their query answers, each under the prompt
    that it was first seen to answer. People with fewer than three such items, of which none can run
    in a circle, are left out.

    Args:
        model: whose margins.
        people: held-out ones.
        split: their answers.

    Returns:
        None where nobody is left.
    """
    a, b = representations(model, people, split.support)
    placed = model.place(
        a, b, people.target[split.support].astype(np.float64),
        weight=people.weight[split.support].astype(np.float64), starts=split.support_starts,
        covariance=False,
    )  # fmt: skip
    sides = np.concatenate(representations(model, people, split.query))  # (2 s, r)
    item = np.concatenate([people.a[split.query], people.b[split.query]])
    person = np.tile(split.query_person, 2)
    shares = cyclic_shares(model, placed.mean, person, item, sides)
    return float(np.nanmean(shares)) if np.isfinite(shares).any() else None


class _Fitter:
    """Fits one setting of the blocks to one training set."""

    def __init__(self, options: GpmOptions, seed: int, device: torch.device) -> None:
        self.options, self.seed, self.device = options, seed, device

    def fit(self, train: TrainingSet, base: Transitive, candidate: _Candidate) -> GeneralPreference:
        """The fitted model, sizes of blocks for each person included."""
        items, prompts = used_rows(train)
        statistics = Statistics.of(items, train.own)
        reading = None
        if candidate.gate != "none" and prompts is not None:
            reading = Statistics.of(prompts)
        generator = torch.Generator().manual_seed(self.seed)
        module = Blocks(
            items.shape[1], 0 if reading is None else len(reading.center), self.options,
            size=candidate.blocks, gate=candidate.gate, generator=generator,
        ).to(self.device)  # fmt: skip
        offset = base.offsets(train, shared=self.options.head == "hrc")
        rows = Rows(train, offset, statistics, reading, self.device)
        self._train(module, rows, candidate.ridge, generator)
        model = self._export(module, train, base, statistics, reading)
        return with_scales(model, base, train, offset) if self.options.personal else model

    def _train(self, module: Blocks, rows: Rows, ridge: float, generator: torch.Generator) -> None:
        """AdamW with a cosine; the ridge is in the loss, in units of comparisons."""
        o, trained = self.options, module.trained()
        if not trained:
            return
        optimizer = adam(trained, self.device, lr=o.lr, weight_decay=0.0)

        def loss(index: Tensor) -> Tensor:
            batch = rows.take(index)
            each = losses(module.margin(batch), batch.target, o.loss, o.least, batch.least)
            mean = (each * batch.weight).sum() / batch.weight.sum().clamp(min=1e-12)
            return mean + 0.5 * ridge / len(rows) * module.squares()

        take = Stepper(loss, optimizer)
        for step, index in enumerate(drawn(len(rows), o.batch, o.steps, generator, self.device)):
            scale_rates(optimizer, cosine(step, o.steps))
            take(index)

    def _export(
        self, module: Blocks, train: TrainingSet, base: Transitive, statistics: Statistics,
        reading: Statistics | None,
    ) -> GeneralPreference:  # fmt: skip
        blocks, bias, learned = (
            p.detach().cpu().numpy() for p in (module.weight, module.bias, module.scalar)
        )
        scalar = learned / statistics.spread  # the same reward on features that are not divided
        if self.options.head == "hrc":
            scalar = scalar + base.population
        gate = module.export_gate(reading)
        model = GeneralPreference(
            center=statistics.center, spread=statistics.spread,
            scalar=scalar.astype(np.float32), shift=base.basis,
            blocks=blocks, bias=bias, gate=gate, unit_norm=self.options.unit_norm,
            temperature=float(module.temperature.detach()),
            panel=np.zeros((1, 1), np.float32), prior=base.prior, answering=base.answering,
        )  # fmt: skip
        return _with_panel(model, train, self.options.panel, self.seed)


def _with_panel(
    model: GeneralPreference, train: TrainingSet, count: int, seed: int
) -> GeneralPreference:
    """The model with opponents drawn from the training items; their gate is 0: they have no prompt."""
    used = np.unique(np.concatenate([train.a, train.b]))
    chosen = np.sort(np.random.default_rng(seed).permutation(used)[:count])
    panel = replace(model, gate=Gate.none()).represent(train.item_features[chosen])
    if model.prompt_dim:
        panel = np.pad(panel, ((0, 0), (0, model.size)))
    return replace(model, panel=panel)
