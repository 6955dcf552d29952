"""From noisy comparisons and from rankings to the answer that is served, on the command line and over HTTP."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from scipy.stats import kendalltau

import gustibus
from gustibus import ops
from gustibus.artifact import Artifact
from gustibus.cli.app import run as cli
from gustibus.scoring import Scorer
from tests.service.harness import running

REASONS = "because since therefore hence thus so given as".split()  # noqa: SIM905
PROMPT = "How many are left?"
FLIPS = 0.2


def solution(reasons: int, answer: int) -> str:
    """A text that is the better, the more reasons it gives."""
    words = [REASONS[at % len(REASONS)] for at in range(reasons)]
    return f"We count {' and '.join(words)} and find {answer}."


TEXTS = [solution(reasons, answer) for reasons in range(1, 13) for answer in range(40, 44)]
WORTH = np.repeat(np.arange(1, 13), 4)


def noisy_comparisons(path):
    """Pairs of which a fifth have their label turned."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for row in range(1500):
            x, y = rng.choice(len(TEXTS), 2, replace=False)
            label = int((WORTH[x] > WORTH[y]) ^ (rng.random() < FLIPS))
            file.write(json.dumps({
                "user": f"u{row % 30}", "prompt": f"p{row % 20}", "response_a": TEXTS[x],
                "response_b": TEXTS[y], "label": label,
            }) + "\n")  # fmt: skip


def noisy_rankings(path):
    """Lists of five, ranked by what is seen of their worth."""
    rng = np.random.default_rng(1)
    with path.open("w") as file:
        for row in range(200):
            chosen = rng.choice(len(TEXTS), 5, replace=False)
            seen = WORTH[chosen] + rng.normal(0, 1.5, 5)
            ranks = (5 - np.argsort(np.argsort(seen))).tolist()
            file.write(json.dumps({
                "user": f"u{row % 20}", "prompt": f"p{row}",
                "responses": [TEXTS[i] for i in chosen], "ranks": ranks,
            }) + "\n")  # fmt: skip


RUNS = {
    "rdpo": (noisy_comparisons, ["--objective-set", f"eps={FLIPS}"]),
    "lipo_lambda": (noisy_rankings, ["--split", "all", "--set", "steps=150"]),
}


@pytest.fixture(scope="module", params=RUNS)
def trained(request, tmp_path_factory):
    """The name of an objective, a model trained by it on the command line, and its server."""
    write, more = RUNS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    write(folder / "log.jsonl")
    code = cli([
        "train", str(folder / "log.jsonl"), "-o", str(folder / "model"), "--model", "bt",
        "--encoder", "hashing", "--encoder-set", "dim=64", "--objective", request.param,
        "--questions", "0", "--set", "known_items=never", "--set", "ridge=10", *more,
    ])  # fmt: skip
    assert code == 0
    url = f"sqlite:///{folder}/service.db"
    with (
        running(url, folder, gustibus_model=str(folder / "model")) as service,
        service.client() as client,
    ):
        yield request.param, folder / "model", client


# Ten samples: 42 is right and reasoned well; 40 is frequent and thin; a rare 43 is padded with reasons.
SAMPLES = [
    (6, 42),
    (2, 40),
    (7, 42),
    (1, 40),
    (12, 43),
    (2, 40),
    (5, 42),
    (1, 40),
    (2, 41),
    (1, 40),
]
ANSWERS = [f"{answer}" if at % 2 else f" {answer}.0" for at, (_, answer) in enumerate(SAMPLES)]
SAID = [solution(*sample) for sample in SAMPLES]
WANTED = {"best_of_majority": "42", "best_of_n": "43", "majority_vote": "40"}


def test_the_model_ranks_as_people_meant_and_says_what_it_was_trained_on(trained):
    objective, folder, _ = trained
    artifact = Artifact.load(str(folder))
    assert artifact.card["fit"]["objective"]["name"] == objective
    held_out = [solution(reasons, 44) for reasons in range(1, 13)]
    assert kendalltau(Scorer(artifact).score(PROMPT, held_out), range(12)).statistic > 0.8


@pytest.mark.parametrize("method", WANTED)
@pytest.mark.parametrize("transform", [None, "par"])
def test_the_same_answer_comes_from_the_library_the_command_line_and_the_service(
    trained, method, transform, monkeypatch, capsys
):
    _, folder, client = trained
    alpha = 0.25 if method == "best_of_majority" else None
    worth = gustibus.load(str(folder)).score(PROMPT, SAID, transform=None)
    if transform == "par":
        artifact = Artifact.load(str(folder))
        refs = artifact.model.utility(Scorer(artifact).posterior(None).mean, artifact.reference)
        worth = ops.par(worth, refs)
    by_library = {
        "best_of_majority": lambda: ops.best_of_majority(ANSWERS, worth, 0.25),
        "best_of_n": lambda: ops.best_of_n(ANSWERS, worth),
        "majority_vote": lambda: ops.majority_vote(ANSWERS),
    }[method]()
    assert [one.strip().removesuffix(".0") for one in by_library] == [WANTED[method]]

    flags = ["--method", method, "--prompt", PROMPT, "--json"]
    flags += ["--alpha", str(alpha)] if alpha is not None else []
    flags += ["--transform", transform] if transform else []
    rows = [{"text": t, "answer": a} for t, a in zip(SAID, ANSWERS, strict=True)]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(r) + "\n" for r in rows)))
    capsys.readouterr()
    assert cli(["score", str(folder), *flags]) == 0
    (by_command,) = json.loads(capsys.readouterr().out)
    assert by_command["answer"] == by_library[0]

    body = {"prompt": PROMPT, "candidates": SAID, "answers": ANSWERS, "method": method}
    body |= {"alpha": alpha} if alpha is not None else {}
    body |= {"transform": transform} if transform else {}
    reply = client.post("/v1/best-of-n", json=body)
    assert reply.status_code == 200, reply.text
    (by_service,) = reply.json()["selection"]
    assert by_service["answer"] == by_library[0]
    assert (by_service["index"], by_service["count"]) == (by_command["index"], by_command["count"])
    assert reply.json()["best"]["index"] == by_service["index"]
    if method != "majority_vote":
        assert by_service["score"] == pytest.approx(by_command["score"], rel=1e-4, abs=1e-6)
