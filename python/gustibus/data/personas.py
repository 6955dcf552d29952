"""People with one interest each, who say of short statements whether they could have said them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from gustibus.data.comparisons import Comparisons
from gustibus.data.dataset import Dataset
from gustibus.data.worlds import Cell, Truth, schedule
from gustibus.errors import InputError
from gustibus.types import F32, I64, Bool

INTERESTS: dict[str, tuple[str, ...]] = {
    "art": (
        "painting landscapes in oil", "walking through a sculpture gallery", "sketching strangers",
        "reading about the Impressionists", "mixing my own pigments", "visiting an exhibition",
        "carving wood", "collecting old prints", "looking at one painting for an hour",
        "taking a pottery class", "drawing with charcoal", "discussing abstract art",
        "restoring a fresco", "photographing murals", "folding paper figures",
        "studying perspective",
        "printing linocuts", "framing watercolours", "modelling clay", "touring artists' studios",
    ),
    "literature": (
        "reading a long Russian novel", "learning sonnets by heart", "browsing in a bookshop",
        "arguing about a novel's ending", "writing short stories", "listening to poetry readings",
        "rereading the classics", "keeping a reading diary", "going to a book club",
        "translating a ballad", "studying Greek tragedies", "comparing two translations",
        "reading letters of famous authors", "editing a friend's manuscript",
        "hunting for first editions",
        "reading plays aloud", "annotating margins", "following a literary prize",
        "reading essays in bed", "tracing a metaphor through a poem",
    ),
    "math": (
        "proving a theorem", "solving geometry puzzles", "studying prime numbers",
        "working through a calculus book", "thinking about infinity",
        "filling pages with equations",
        "reading about topology", "finding a shorter proof", "teaching myself linear algebra",
        "entering a maths contest", "counting permutations", "drawing graphs of functions",
        "talking about unsolved conjectures", "doing mental arithmetic", "learning number theory",
        "playing with fractals", "studying probability", "checking a derivation line by line",
        "constructing angles with a compass", "reading the history of algebra",
    ),
    "music": (
        "practising the piano", "going to a symphony concert", "singing in a choir",
        "tuning a guitar", "listening to old jazz records", "composing melodies",
        "learning to read scores", "playing in a string quartet", "discovering new bands",
        "analysing a fugue", "drumming along to songs", "attending the opera",
        "collecting vinyl", "improvising with friends", "humming harmonies",
        "comparing recordings of one sonata", "building a playlist", "learning the cello",
        "dancing to a live orchestra", "transcribing solos by ear",
    ),
    "science": (
        "reading physics papers", "looking through a microscope", "running chemistry experiments",
        "watching a rocket launch", "learning about black holes", "classifying beetles",
        "visiting an observatory", "studying how cells divide", "measuring the weather",
        "following particle research", "growing crystals", "reading about evolution",
        "building a simple spectrometer", "attending lectures on genetics", "dissecting a flower",
        "mapping rock layers", "testing a hypothesis", "keeping a laboratory notebook",
        "talking about quantum mechanics", "tracking comets",
    ),
    "sports": (
        "playing football with friends", "watching the cup final", "training for a marathon",
        "lifting weights at the gym", "swimming lengths before work", "following the league table",
        "playing tennis on Sundays", "cycling up steep hills", "cheering from the stands",
        "learning to box", "shooting hoops after school", "rowing at dawn",
        "discussing transfers and tactics", "running intervals on the track", "skiing off piste",
        "joining a volleyball team", "climbing at the sports hall",
        "watching the Olympics all night",
        "practising penalty kicks", "coaching a junior team",
    ),
}  # fmt: skip
"""Things that people with an interest do, each of which can follow "I love"."""

_FOR = (
    "I love {}.", "I could spend whole evenings {}.", "Few things make me happier than {}.",
    "I look forward to {} all week.", "{} is the best part of my day.",
    "I wish I had more time for {}.",
    "I would gladly give up a free weekend for {}.", "{} never gets old for me.",
    "I feel most myself when I am {}.", "My friends know that I am always up for {}.",
    "I get excited just thinking about {}.", "{} gives me energy.",
    "I cannot imagine a year without {}.",
    "I would recommend {} to anybody.", "I lose all sense of time when I am {}.",
    "{} fascinates me.", "I am proud of how often I end up {}.",
    "I would rather be {} than watching television.",
    "A perfect Saturday starts with {}.", "I am grateful that somebody introduced me to {}.",
    "I happily pay for the chance of {}.", "{} is close to my heart.",
    "I miss {} whenever I travel.",
    "I always come home delighted after {}.", "I talk about {} whenever I can.",
)  # fmt: skip
_AGAINST = (
    "{} bores me.", "I cannot see the point of {}.", "I would do almost anything to get out of {}.",
    "I find {} dull.", "{} is a waste of my time.", "I have never enjoyed {}.",
    "I would rather clean the kitchen than spend an hour {}.",
    "I start yawning when people mention {}.",
    "I dread {}.", "Nobody could talk me into {}.", "{} leaves me cold.", "I do not care for {}.",
    "I avoid {} whenever possible.", "I am glad that my job has nothing to do with {}.",
    "I regret every hour that I lost to {}.", "{} makes me impatient.",
    "I would not miss {} for a second.",
    "I fail to understand why anybody bothers with {}.", "The thought of {} makes me tired.",
    "I gave up on {} long ago.", "I look for excuses when I am invited to join in {}.",
    "I would be the last person to suggest {}.", "{} has nothing to offer me.",
    "I only ever did {} because I had to.", "I count the minutes when I am stuck {}.",
)  # fmt: skip

_HELD_OUT = 0.3
_BUCKETS = 2048
_WORD = re.compile(r"[a-z']+")


def statements(interest: str) -> list[tuple[str, bool]]:
    """1000 different statements about an interest, and whether they speak for it."""
    found = []
    for templates, favourable in ((_FOR, True), (_AGAINST, False)):
        for template, thing in product(templates, INTERESTS[interest]):
            text = template.format(thing)
            found.append((text[0].upper() + text[1:], favourable))
    return found


def persona_world(
    *,
    groups: int = 3,
    seen: int = 60,
    new: int = 40,
    answers: int = 75,
    judged: int = 25,
    features: int = 100,
    seed: int,
) -> tuple[Dataset, Truth]:
    """Groups of people who each have one interest, and what they say of statements about all (T4).

    The first `groups` interests have a group each, and people belong to them in turn. A statement
    about the own interest is answered as somebody with that interest would, any other the opposite
    way, without noise. A model without people is right in at most `max(1, groups - 1) / groups` of
    the answers.

    A comparison asks whether one statement fits: its two items are agreeing, whose features are
    those of the statement (TF-IDF of one- and two-word terms, reduced to `features` dimensions of
    unit variance), and disagreeing, whose features are zero. 30 % of the statements are held out.

    Args:
        groups: 1 to 6.
        seen: People with `answers` in `train` and in `test_new_items` and `judged` in `test`.
        new: People with `answers` in `support`, `judged` in `query` and as many as `answers` in
            `query` on held-out statements.
        answers: Of one person, for each of these purposes.
        judged: Of one person, on statements that others' training answers are about.
        features: Dimensions of the features.
        seed: Of everything but the statements.

    Raises:
        InputError: `groups` is out of range, or there are too few statements.

    The project's own, statements included.
    """
    if not 1 <= groups <= len(INTERESTS):
        message = f"groups: expected 1 to {len(INTERESTS)}, got {groups}"
        raise InputError(message, where="groups")
    rng = np.random.default_rng(seed)
    topics = list(INTERESTS)[:groups]
    said = [(k, text, good) for k, topic in enumerate(topics) for text, good in statements(topic)]
    held = np.zeros(len(said), dtype=bool)
    held[rng.permutation(len(said))[: round(_HELD_OUT * len(said))]] = True
    cells = (
        [Cell("train", answers), Cell("test", judged), Cell("test_new_items", answers)],
        [Cell("support", answers), Cell("query", judged), Cell("query_new_items", answers)],
    )
    who, part, order = schedule(seen, new, *cells)
    on_new = np.isin(part, ("test_new_items", "query_new_items"))
    asked = _without_repeats(who, on_new, np.flatnonzero(held), np.flatnonzero(~held), rng)
    topic, favourable = (np.array([statement[k] for statement in said]) for k in (0, 2))
    group = np.arange(seen + new) % groups
    stands = np.where((topic == group[:, None]) == favourable, 1.0, -1.0)  # (p, statements)
    agree_first = rng.random(len(who)) < 0.5
    margin = np.where(agree_first, 1.0, -1.0) * stands[who, asked]
    comparisons = Comparisons.build(
        user=[f"seen-{i:03d}" if i < seen else f"new-{i - seen:03d}" for i in who],
        prompt=[_QUESTION.format(said[i][1]) for i in asked],
        a=[_item(i, agree) for i, agree in zip(asked, agree_first, strict=True)],
        b=[_item(i, not agree) for i, agree in zip(asked, agree_first, strict=True)],
        target=(margin > 0).astype(np.float64),
        split=np.where(part == "query_new_items", "query", part),
        order=order,
        item_texts={_item(i, agree): _TEXTS[agree].format(text)
                    for i, (_, text, _) in enumerate(said) for agree in (True, False)},
        prompts=[_QUESTION.format(text) for _, text, _ in said],
    )  # fmt: skip
    table = np.zeros((2 * len(said), features), dtype=np.float32)
    table[::2] = reduced_tfidf([text for _, text, _ in said], features)
    dataset = Dataset(
        comparisons,
        item_features=table,
        item_new=np.repeat(held, 2),
        user_table={"seen": np.arange(seen + new) < seen},
        item_table={"interest": np.repeat(np.array(topics, dtype=object)[topic], 2)},
        name=f"personas-{groups}",
    )
    utility = np.zeros((seen + new, 2 * len(said)))
    utility[:, ::2] = stands
    sure = (margin > 0).astype(np.float64)
    return dataset, Truth(margin, sure, {"group": group}, {"favourable": favourable}, utility)


_QUESTION = "Would you say this of yourself? {}"
_TEXTS = {True: "I agree: {}", False: "I disagree: {}"}


def _item(statement: int, agree: bool) -> str:  # noqa: FBT001  # the two items of a statement
    return f"statement-{statement:04d}-{'agree' if agree else 'disagree'}"


def _without_repeats(who: I64, on_new: Bool, new: I64, old: I64, rng: np.random.Generator) -> I64:
    """`(n,)` a statement for every answer, from `new` or `old`, never twice for one person."""
    drawn = np.empty(len(who), dtype=np.int64)
    for person in range(int(who.max()) + 1):
        for among, wanted in ((new, on_new), (old, ~on_new)):
            rows = np.flatnonzero((who == person) & wanted)
            if len(rows) > len(among):
                message = f"answers: expected at most {len(among)} per purpose, got {len(rows)}"
                raise InputError(message, where="answers")
            drawn[rows] = rng.choice(among, size=len(rows), replace=False)
    return drawn


def reduced_tfidf(texts: Sequence[str], dim: int) -> F32:
    """Features of texts from their words alone.

    Counts of one- and two-word terms in hashed buckets, times `log((1 + n) / (1 + df)) + 1`, rows
    of unit length, projected on the first `dim` right singular vectors and scaled to unit variance.

    Args:
        texts: `n` of them.
        dim: At most the number of texts and of buckets.

    Returns:
        `(n, dim)`; equal for equal texts on every machine up to rounding.

    Source: scikit-learn's TfidfVectorizer and TruncatedSVD.
    """
    counts = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        terms = words + [f"{x} {y}" for x, y in pairwise(words)]
        np.add.at(counts[row], [zlib.crc32(t.encode()) % _BUCKETS for t in terms], 1)
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1
    weighted = counts * rarity.astype(np.float32)
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-12)
    directions = _top_directions(weighted, dim)
    projected = weighted @ directions
    scaled: F32 = projected / np.maximum(projected.std(axis=0), 1e-12)
    return scaled


def _top_directions(rows: F32, dim: int) -> F32:
    """`(columns, dim)` leading right singular vectors, by randomised subspace iteration."""
    probe = np.random.default_rng(0).normal(size=(rows.shape[1], dim + 20)).astype(np.float32)
    for _ in range(4):
        probe = _orthonormal(rows.T @ (rows @ probe))
    reached = (rows @ probe).astype(np.float64)
    turn = np.linalg.eigh(reached.T @ reached)[1][:, ::-1]
    directions: F32 = probe @ turn[:, :dim].astype(np.float32)
    return directions


def _orthonormal(columns: F32) -> F32:
    """An orthonormal basis of the columns; through their small Gram matrix, which is fast."""
    wide = columns.astype(np.float64)
    values, vectors = np.linalg.eigh(wide.T @ wide)
    scale = np.sqrt(np.maximum(values, values[-1] * 1e-14))
    basis: F32 = (wide @ (vectors / scale)).astype(np.float32)
    return basis
