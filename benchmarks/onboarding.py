"""What the question rules are worth: accuracy after n answers, on simulated and on recorded people.

    python benchmarks/onboarding.py                      # simulated populations, and their bars
    python benchmarks/onboarding.py --data FOLDER        # a population fitted on a preference folder
    python benchmarks/onboarding.py --latency            # answer to next question

Every figure that compares two rules is a mean over the same people with a 95 % bootstrap interval.
Set OPENBLAS_NUM_THREADS=1 for latency: threads only get in the way of products this small.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gustibus.models.hierarchical import Hierarchical
from gustibus.onboarding import QuestionPool, Session, Settings, Stopping, advance, build_pool
from gustibus.onboarding.building import Pairs
from gustibus.onboarding.confidence import side_probability
from gustibus.onboarding.pool import Linear
from gustibus.onboarding.simulation import (
    Curve,
    People,
    paired_difference,
    place_everybody,
    simulate,
)
from gustibus.posterior import Answering, GaussianPrior

LENGTHS = (2, 5, 10, 15, 20)
RULES = ("random", "d_opt", "information")
SEED = 20


@dataclass(frozen=True)
class World:
    """A known population: `w ~ N(mean, I)`, margins of random pairs with variances `scale**2`."""

    model: Hierarchical
    pool: QuestionPool
    judged: Linear
    users: np.ndarray

    def people(self, lapse: float) -> People:
        asked = self.pool.line(self.model, self.users[0])
        return People(
            pool=self.users @ asked.delta.T + asked.offset,
            judged=self.users @ self.judged.delta.T + self.judged.offset,
            lapse=lapse,
            seed=SEED + 1,
        )


def world(
    dim: int, *, people: int, decay: float = 1.5, variance: float = 8.0, shared: float = 0.0,
    lapse: float = 0.05, pairs: int = 2000, candidates: int = 2000, seed: int = SEED,
) -> World:  # fmt: skip
    """People who differ along `dim` directions of falling weight, variance of direction j as j**-decay.

    `shared` is the population mean in standard deviations; `candidates` above `pairs` thins the pool.
    """
    rng = np.random.default_rng(seed)
    scale = np.sqrt(np.arange(1, dim + 1.0) ** -decay)
    scale *= np.sqrt(variance / (scale**2).sum())
    prior = GaussianPrior.single(np.full(dim, shared), np.eye(dim))
    zeros = np.zeros(dim, np.float32)
    model = Hierarchical(zeros, zeros, np.eye(dim, dtype=np.float32), prior, Answering(lapse))
    items = (rng.standard_normal((2 * candidates, dim)) * scale / np.sqrt(2)).astype(np.float32)
    first = np.arange(candidates, dtype=np.int64)
    listed = Pairs(np.zeros(candidates, np.int64), first, first + candidates)
    judged = Linear(rng.standard_normal((500, dim)) * scale, np.zeros(500))
    if candidates > pairs:
        pool = build_pool(model, items, listed, size=pairs, seed=seed)
    else:
        texts = ("",) * candidates
        ids = tuple(str(i) for i in range(candidates))
        pool = QuestionPool(
            model.represent(items[listed.a]),
            model.represent(items[listed.b]),
            texts,
            texts,
            texts,
            ids,
        )
    users = shared + rng.standard_normal((people, dim))
    return World(model, pool, judged, users)


def ask_all(
    place: World, rule: str, *, lapse: float = 0.05, controls: bool = False, capped: bool = False,
    temperature: float | None = None,
) -> Curve:  # fmt: skip
    settings = Settings(seed=SEED, strategy=rule, controls=controls)
    if temperature is not None:
        settings = replace(settings, temperature=temperature)
    return simulate(
        place.model, place.pool, place.judged, place.people(lapse),
        settings=settings, lengths=(0, *LENGTHS), capped=capped,
    )  # fmt: skip


def row(name: str, values: np.ndarray, *, percent: bool = True) -> str:
    shown = [f"{v:.1%}" if percent else f"{v:.3f}" for v in values]
    return f"  {name:<34}" + "".join(f"{v:>9}" for v in shown)


def interval(first: np.ndarray, second: np.ndarray) -> str:
    mean, low, high = paired_difference(first, second, seed=SEED)
    return f"{100 * mean:+5.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def show(title: str, curves: dict[str, Curve]) -> None:
    print(f"\n{title}")
    print(
        "  " + f"{'answers':<34}" + "".join(f"{n:>9}" for n in curves[next(iter(curves))].lengths)
    )
    for rule, curve in curves.items():
        print(row(f"{rule}: choices named", curve.accuracy.mean(0)))
        print(row(f"{rule}: better side named", curve.sign.mean(0)))
        print(row(f"{rule}: calibration error", curve.calibration, percent=False))


def bars(dim: int, curves: dict[str, Curve]) -> None:
    """The bars in both readings of accuracy."""
    at = {n: i for i, n in enumerate(curves["random"].lengths)}
    for name in ("accuracy", "sign"):
        best, control = getattr(curves["d_opt"], name), getattr(curves["random"], name)
        ten = interval(best[:, at[10]], control[:, at[10]])
        twenty = interval(best[:, at[10]], control[:, at[20]])
        print(f"  {name:<9} d_opt@10 - random@10 {ten}; d_opt@10 - random@20 {twenty}")
    wanted = "at least +2.0; " + ("at least 0.0" if dim <= 16 else "at least -1.5")
    print(f"  wanted    {wanted}")


def simulated(people: int) -> None:
    for dim in (8, 32):
        places = {
            "falling weights, random pool": world(dim, people=people),
            "falling weights, thinned pool": world(dim, people=people, candidates=20_000),
            "equal weights, random pool": world(dim, people=people, decay=0.0),
        }
        for name, place in places.items():
            started = time.perf_counter()
            curves = {rule: ask_all(place, rule) for rule in RULES}
            took = time.perf_counter() - started
            show(f"k = {dim}, {name}, 5 % lapses, {people} people ({took:.1f} s)", curves)
            bars(dim, curves)
        place = places["falling weights, random pool"]
        curves = {
            "d_opt as served": ask_all(place, "d_opt", controls=True, capped=True),
            "random": ask_all(place, "random"),
            "d_opt": ask_all(place, "d_opt"),
        }
        served = curves["d_opt as served"]
        show(f"k = {dim}, with random questions, repeats and exposure cap", curves)
        print(f"  most shown pair: {served.shown.max() / people:.1%} of people")
        ten_percent(dim, place)
        at_random(dim, people)


def ten_percent(dim: int, place: World) -> None:
    curves = {rule: ask_all(place, rule, lapse=0.1) for rule in RULES}
    print(f"\nk = {dim}, 10 % lapses (the model believes 5 %), difference from random questions")
    for rule in RULES[1:]:
        for i, length in enumerate(curves["random"].lengths):
            if length:
                gap = interval(curves[rule].accuracy[:, i], curves["random"].accuracy[:, i])
                print(f"  {rule:<12} {length:>3} answers {gap}")


def at_random(dim: int, people: int) -> None:
    """People who press at random, in populations with and without a shared taste."""
    print(f"\nk = {dim}, people who answer at random, against the population model, d_opt")
    for shared in (0.0, 0.5, 1.0):
        place = world(dim, people=people, shared=shared)
        for lapse, name in ((1.0, "at random"), (0.05, "as others")):
            curve = ask_all(place, "d_opt", lapse=lapse, controls=True)
            loss = interval(curve.accuracy[:, -1], curve.accuracy[:, 0])
            print(f"  shared taste {shared:.1f} sd, {name}: after 20 answers {loss}")


def latency(dim: int = 32) -> None:
    print(f"\nanswer to next question, k = {dim}: place, look ahead, stop, choose")
    for pairs in (2000, 20_000):
        place = world(dim, people=10, pairs=pairs, candidates=pairs)
        taken = []
        for number, user in enumerate(place.users):
            session = Session(Settings(seed=number, stopping=Stopping(20, 20)))
            step = advance(place.model, place.pool, session)
            while step.question is not None:
                question = step.question
                line = place.pool.line(place.model, user)
                is_a = line.delta[question.row] @ user + line.offset[question.row] > 0
                begin = time.perf_counter()
                answer = "left" if is_a != question.swapped else "right"
                session = session.answered(question, answer)
                step = advance(place.model, place.pool, session)
                taken.append(time.perf_counter() - begin)
        p50, p95 = np.quantile(taken, [0.5, 0.95]) * 1e3
        print(f"  {pairs:>6} pairs: p50 {p50:.2f} ms, p95 {p95:.2f} ms over {len(taken)} answers")


def recorded(folder: Path, people: int | None) -> None:
    """A population fitted on seen people; unseen people answer from what they recorded."""
    from gustibus.data import read
    from gustibus.models import MODELS, TrainingSet

    data = read(folder)
    c = data.comparisons
    features = data.features()
    assert c.split is not None
    split = np.array([str(s) for s in c.split])
    train = np.flatnonzero(split == "train")
    names, user = np.unique(c.user[train], return_inverse=True)
    rows = TrainingSet(
        user.astype(np.int32), c.prompt[train], c.a[train], c.b[train],
        c.target[train], c.weight[train], features, None, len(names),
    )  # fmt: skip
    started = time.perf_counter()
    model, _report = MODELS["hierarchical"].run.fit(
        rows, None, seed=SEED, basis="learned", equalise=(0.8,), ridges=(30.0, 10.0),
        ridge_population=(30.0,), folds=1, rounds=5,
    )  # fmt: skip
    print(f"\n{folder.name}: {len(names)} people, k = {model.user_dim}, "
          f"lapse {model.answering.lapse}, fitted in {time.perf_counter() - started:.0f} s")  # fmt: skip
    from_support(model, c, features, split, people)
    if "main_prototype" in data.user_table:
        from_truth(model, folder, c, features, split, people)


def from_support(model, c, features, split, people) -> None:
    """RECORDED answers: each person's own support pairs are the pool."""
    right = {rule: [] for rule in RULES}
    predicted, happened = {r: [] for r in RULES}, {r: [] for r in RULES}
    lengths = (0, 2, 5, 10, 20)
    unseen = np.unique(c.user[split == "support"])[:people]
    for person in unseen:
        mine = np.flatnonzero((c.user == person) & (split == "support"))
        query = np.flatnonzero((c.user == person) & (split == "query"))
        texts = tuple(str(i) for i in mine)
        pool = QuestionPool(
            model.represent(features[c.a[mine]]), model.represent(features[c.b[mine]]),
            texts, texts, texts, texts,
        )  # fmt: skip
        qa, qb = model.represent(features[c.a[query]]), model.represent(features[c.b[query]])
        asked = QuestionPool(qa, qb, *[tuple(str(i) for i in query)] * 4)
        line, target = asked.line(model, model.prior.mean), c.target[query]
        for rule in RULES:
            settings = Settings(
                seed=int(person), strategy=rule, controls=False, stopping=Stopping(20, 20)
            )
            session, scores = Session(settings), []
            for length in range(lengths[-1] + 1):
                posterior = place_everybody(model, pool, [session])[0]
                if length in lengths:
                    p = side_probability(line, posterior, Answering(0.0, model.answering.tie))
                    says_a, is_a = p > 0.5, target > 0.5
                    scores.append(np.where(target == 0.5, 0.5, says_a == is_a).mean())
                    if length == 10:
                        predicted[rule].append(p)
                        happened[rule].append(target)
                if length < lengths[-1]:
                    session = _answer_from_record(model, pool, session, posterior, c.target[mine])
            right[rule].append(scores)
    curves = {rule: np.array(right[rule]) for rule in RULES}
    print(
        f"RECORDED answers, own {len(mine)} support pairs are the pool, {len(unseen)} people, query"
    )
    print("  " + f"{'answers':<34}" + "".join(f"{n:>9}" for n in lengths))
    for rule in RULES:
        print(row(rule, curves[rule].mean(0)))
    for rule in RULES[1:]:
        for i, length in enumerate(lengths[1:], 1):
            gap = interval(curves[rule][:, i], curves["random"][:, i])
            print(f"  {rule} - random at {length}: {gap}")


def _answer_from_record(model, pool, session, posterior, target) -> Session:
    from gustibus.onboarding.session import ask

    question = ask(model, posterior, pool, session)
    if question is None:
        return session
    value = float(target[question.row])
    if value == 0.5:
        return session.answered(question, "tie")
    return session.answered(question, "left" if (value > 0.5) != question.swapped else "right")


def from_truth(model, folder, c, features, split, people) -> None:
    """SIMULATED answers from the known truth, to any pair of a pool of 2,000."""
    import pyarrow.parquet as pq

    from gustibus.onboarding import random_pairs

    users = pq.read_table(folder / "users.parquet").to_pydict()
    items = pq.read_table(folder / "items.parquet").to_pydict()
    prototypes = pq.read_table(folder / "prototypes.parquet").to_pydict()
    weights = np.stack([users[f"weight_{k}"] for k in range(6)], axis=1)
    traits = [name for name in prototypes if name != "prototype"]
    stand = weights @ np.stack([prototypes[name] for name in traits], axis=1)  # (p, 16)
    sign = np.array(items["sign"], float) * np.array(items["confidence"], float)
    trait = np.array([traits.index(name) for name in items["trait"]])
    order = {item: i for i, item in enumerate(items["item_id"])}
    at = np.array([order[name] for name in c.item_ids])
    rows = {name: i for i, name in enumerate(users["user_id"])}
    unseen = [rows[c.user_ids[u]] for u in np.unique(c.user[split == "support"])[:people]]
    utility = stand[unseen][:, trait[at]] * sign[at]  # (p, items)
    utility *= np.array(users["sharpness"])[unseen][:, None]
    many = random_pairs(np.zeros(len(at), np.int64), count=20_500, seed=SEED)
    judged = Pairs(*(column[:500] for column in many))
    listed = Pairs(*(column[500:] for column in many))
    pool = build_pool(model, features, listed, texts=c.item_texts, size=2000, seed=SEED)
    where = {text: i for i, text in enumerate(c.item_texts)}
    a = np.array([where[text] for text in pool.texts_a])
    b = np.array([where[text] for text in pool.texts_b])
    reps = [model.represent(features[side]) for side in (judged.a, judged.b)]
    ids = tuple(str(i) for i in range(500))
    line = QuestionPool(*reps, ids, ids, ids, ids).line(model, model.prior.mean)
    truth = People(
        utility[:, a] - utility[:, b], utility[:, judged.a] - utility[:, judged.b], 0.0, SEED
    )
    curves = {
        rule: simulate(
            model, pool, line, truth, lengths=(0, 2, 5, 10, 20),
            settings=Settings(seed=SEED, strategy=rule, controls=False),
        )
        for rule in RULES
    }  # fmt: skip
    show(f"SIMULATED answers from the known truth, pool of {len(pool.askable)}", curves)
    ceiling = (1 / (1 + np.exp(-np.abs(truth.judged)))).mean()
    print(f"  who knew everything would name {ceiling:.1%} of choices")
    for rule in RULES[1:]:
        for i, length in enumerate(curves[rule].lengths[1:], 1):
            gap = interval(curves[rule].accuracy[:, i], curves["random"].accuracy[:, i])
            print(f"  {rule} - random at {length}: {gap}")
    noise = replace(truth, lapse=1.0)
    careless = simulate(model, pool, line, noise, lengths=(0, 20), settings=Settings(seed=SEED))
    print(f"  at random after 20: {interval(careless.accuracy[:, 1], careless.accuracy[:, 0])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with recorded comparisons")
    parser.add_argument("--latency", action="store_true", help="only time to the next question")
    parser.add_argument("--people", type=int, default=None, help="people simulated or judged")
    args = parser.parse_args()
    if args.latency:
        latency()
    elif args.data is not None:
        recorded(args.data, args.people)
    else:
        simulated(args.people or 200)
        latency()


if __name__ == "__main__":
    main()
