"""The same results on a CUDA device as on the CPU; run by `make test-gpu`."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.encoders import load_encoder
from gustibus.models import MODELS
from tests.conftest import small_world

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

FAST = {
    "bt": {},
    "pal": {"prototypes": 3, "epochs": 3},
    "hierarchical": {"ridges": [10.0], "equalise": [0.5], "rounds": 4, "folds": 1},
}


@pytest.mark.parametrize("family", FAST)
def test_families_learn_the_same_on_both(family):
    train, valid = small_world(0, people=120, rows=30), small_world(1, people=30)
    fitted = {
        device: MODELS[family].run.fit(train, valid, seed=0, device=device, **FAST[family]).model
        for device in ("cpu", "cuda")
    }
    items = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)
    rewards = [m.utility(m.prior.mean, m.represent(items)) for m in fitted.values()]
    assert np.corrcoef(rewards)[0, 1] > 0.99


def test_a_fit_on_cuda_is_repeatable():
    train, valid = small_world(0), small_world(1, people=12)
    fit = MODELS["pal"].run.fit
    first, second = (
        fit(train, valid, seed=0, device="cuda", prototypes=2, epochs=2).model for _ in range(2)
    )
    np.testing.assert_allclose(first.prototypes, second.prototypes, rtol=1e-3, atol=1e-3)


def test_an_encoder_gives_the_same_vectors(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "a", "b", "c", "d", "e"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(tmp_path)
    BertModel(
        BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            vocab_size=len(words), max_position_embeddings=64,
        )
    ).save_pretrained(tmp_path)  # fmt: skip
    texts = ["a b c", "d", "e e e e a", ""] * 20
    cpu, cuda = (
        load_encoder("transformers", model=str(tmp_path), device=device).encode(texts)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, atol=1e-4)
