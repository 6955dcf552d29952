"""The same results on a CUDA device as on the CPU; run by `make test-gpu`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gustibus.encoders import load_encoder
from gustibus.encoders.batching import BatchingEncoder
from gustibus.models import MODELS, hierarchical_start
from gustibus.models.hierarchical_start import Frame, spectral_start
from gustibus.models.stepping import Stepper, adam, cosine, scale_rates
from tests.conftest import small_world

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

FAST = {
    "bt": {},
    "factors": {"rank": 2, "ridges": [10.0], "rounds": 4},
    "gpm": {"steps": 60, "ridges": [10.0]},
    "gpm without people": {"personal": False, "steps": 200, "ridges": [10.0]},
    "hierarchical": {"ridges": [10.0], "equalise": [0.5], "rounds": 4, "folds": 1},
    "hyre": {"heads": "bootstrap", "count": 40},
    "lore": {"rank": 3, "ridges": [10.0], "steps": 30},
    "lore published": {"recipe": "published", "steps": 50},
    "mrm": {"rank": 3, "steps": 40, "step_sizes": [3.0]},
    "pal": {"prototypes": 3, "epochs": 3},
    "pal in single precision": {"prototypes": 3, "epochs": 3, "mixed": False},
    "pal with prompts": {"variant": "b", "prototypes": 2, "epochs": 3},
    "ppd": {"steps": 60, "ranks": [4], "decays": [0.1], "spreads": [1.0]},
    "pro": {"steps": 100, "ridges": [3.0]},
    "vpl": {"steps": 100},
}


@pytest.mark.parametrize("title", FAST)
def test_families_learn_the_same_on_both(title):
    train, valid = small_world(0, people=120, rows=30), small_world(1, people=30)
    family = title.split()[0]
    fitted = {
        device: MODELS[family].run.fit(train, valid, seed=0, device=device, **FAST[title]).model
        for device in ("cpu", "cuda")
    }
    assert likeness(*fitted.values()) > 0.99


def likeness(*models):
    """Correlation of the rewards that two models give for the mean person.

    Sums whose order is the device's choice differ in the last digit, and Adam makes more of it.
    """
    rng = np.random.default_rng(0)
    items = rng.standard_normal((200, 6)).astype(np.float32)
    prompts = rng.standard_normal((200, 6)).astype(np.float32)
    rewards = [
        m.utility(m.prior.mean, m.represent(items, prompts if m.prompt_dim else None))
        for m in models
    ]
    return np.corrcoef(rewards)[0, 1]


def test_a_fit_on_cuda_is_repeatable():
    train, valid = small_world(0), small_world(1, people=12)
    fit = MODELS["pal"].run.fit
    first, second = (
        fit(train, valid, seed=0, device="cuda", prototypes=2, epochs=2).model for _ in range(2)
    )
    assert likeness(first, second) > 0.9999


@pytest.mark.parametrize(
    "family", ["gpm", "gpm without people", "pal", "pal with prompts", "ppd", "pro"]
)
def test_steps_never_wait_for_the_host(family, monkeypatch):
    step, taken = Stepper._step, []

    def strict(self, *batch):
        taken.append(len(taken))
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(self, *batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Stepper, "_step", strict)
    MODELS[family.split()[0]].run.fit(small_world(0), None, seed=0, device="cuda", **FAST[family])
    assert taken, "whatever waits is an error, in every step that is not replayed"


def test_replayed_steps_are_those_that_were_recorded():
    found = []
    for record in (True, False):
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(5, device="cuda"))
        x = torch.randn(40, 5, device="cuda")
        optimizer = adam([weight], torch.device("cuda"), lr=0.1)
        take = Stepper(
            lambda i, w=weight, x=x: (x[i] @ w - 1).square().mean(), optimizer, record=record
        )
        losses = []
        for step in range(12):
            scale_rates(optimizer, cosine(step, 12))
            rows = torch.arange(step % 3, step % 3 + (20 if step % 5 else 7), device="cuda")
            losses.append(take(rows).item())
        found.append((losses, weight.detach().cpu().numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)


def test_an_interrupted_fit_goes_on_to_the_same_end(tmp_path):
    options = {"seed": 0, "device": "cuda", "prototypes": 2, "epochs": 6, "mixed": False}
    fit = MODELS["pal"].run.fit
    whole = fit(small_world(0), None, **options)

    def cut(_stage, done, *_):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small_world(0), None, progress=cut, checkpoint=tmp_path, **options)
    rest = fit(small_world(0), None, checkpoint=tmp_path, **options)
    assert len(rest.report["history"]) == 6
    assert likeness(rest.model, whole.model) > 0.9999


def test_axes_of_many_wide_items_are_those_of_few(monkeypatch):
    train = small_world(0)
    exact = Frame.of(train, 0.5, 384)
    monkeypatch.setattr(hierarchical_start, "_LARGE", 0)
    found = Frame.of(train, 0.5, 384, torch.device("cuda"))
    np.testing.assert_allclose(np.abs(found.items), np.abs(exact.items), atol=1e-6)
    theta = np.linspace(-0.5, 0.5, exact.items.shape[1])
    here = spectral_start(train, exact, theta, 2)
    there = spectral_start(train, exact, theta, 2, torch.device("cuda"))
    np.testing.assert_allclose(np.abs(there), np.abs(here), atol=1e-6)


def test_an_encoder_gives_the_same_vectors(tmp_path):
    folder = backbone(tmp_path)
    texts = ["a b c", "d", "e e e e a", ""] * 20
    cpu, cuda = (
        load_encoder("transformers", model=folder, device=device).encode(texts)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, atol=1e-4)


def test_batches_that_overlap_are_not_mixed_up(tmp_path):
    """Vectors are copied to the host while the next batch runs: each must be read when it is there."""
    folder = backbone(tmp_path)
    encoder = load_encoder("transformers", model=folder, device="cuda", batch_tokens=64)
    rng = np.random.default_rng(0)
    requests = [
        [" ".join(rng.choice(list("abcde"), n)) for n in rng.integers(1, 60, 40)] for _ in range(16)
    ]
    alone = load_encoder("transformers", model=folder, device="cpu")
    queue = BatchingEncoder(encoder, tokens=512)
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(queue.encode, requests))
    queue.close()
    for texts, together in zip(requests, shared, strict=True):
        expected = alone.encode(texts)
        np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-4)
        np.testing.assert_allclose(together, expected, atol=1e-4)


def backbone(folder):
    """A BERT of two layers and a tokenizer of five words, as a folder's name."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "a", "b", "c", "d", "e"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    BertModel(
        BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            vocab_size=len(words), max_position_embeddings=64,
        )
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)
