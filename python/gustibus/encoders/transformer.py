"""Any Hugging Face backbone from a folder or the hub: encoder or causal language model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from gustibus.encoders.base import ENCODERS, checked_texts, digest_of, unit_length
from gustibus.encoders.batching import batches
from gustibus.errors import ConfigError, MissingExtraError
from gustibus.showing import shown
from gustibus.types import F32

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_POOLINGS = ("auto", "mean", "last", "cls")


class Begun(NamedTuple):
    """A batch that a device may still be at work on."""

    vectors: torch.Tensor
    """`(n, dim)` single, in memory of the processor, not to be read before `ready`."""
    ready: torch.cuda.Event | None
    """After which they are there; None where they are already."""


class _Habits(NamedTuple):
    """What a sentence-transformers folder says about the use of its backbone."""

    pooling: str
    normalize: bool
    max_length: int | None


@ENCODERS.add("transformers", source="Wolf et al. 2020; Reimers and Gurevych 2019 for pooling")
class TransformersEncoder:
    """Pooled last hidden states of a backbone.

    Args:
        model: local folder or hub id; weights are read from safetensors, code from the hub is never
            run.
        pooling: `mean` over tokens, `last` token, `cls` (first token); `auto` does as a
            sentence-transformers folder says, else `last` for causal models and `mean` for others.
        max_length: tokens read of a text; default as the folder or the tokenizer says, at most 4096.
        truncate: which end of a longer text is cut, `end` or `start`.
        chat: wrap each text as a message of this role (`user`, `assistant`) with the model's chat
            template, once, special tokens included; default the plain text.
        normalize: whether vectors have unit length; default as the folder says, else not.
        revision: commit, tag or branch on the hub.
        dtype: `auto` (as stored), `float32`, `float16` or `bfloat16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        batch_tokens: padded tokens of a batch; texts of like length share one.

    Raises:
        ConfigError: an option is out of range, or the model cannot be loaded.
    """

    name: ClassVar[str] = "transformers"

    def __init__(
        self, model: str, *, pooling: str = "auto", max_length: int | None = None,
        truncate: str = "end", chat: str | None = None, normalize: bool | None = None,
        revision: str | None = None, dtype: str = "auto", device: str = "auto",
        batch_tokens: int = 16_384,
    ) -> None:  # fmt: skip
        _one_of("pooling", pooling, _POOLINGS)
        _one_of("truncate", truncate, ("end", "start"))
        _one_of("dtype", dtype, ("auto", "float32", "float16", "bfloat16"))
        if (max_length is not None and max_length < 1) or batch_tokens < 1:
            message = "max_length and batch_tokens: expected at least 1"
            raise ConfigError(message, where="max_length")
        self._tokenizer, self._model = _load(model, revision, dtype)
        config = self._model.config
        habits = _habits(Path(model), causal=_is_causal(config))
        self.pooling = habits.pooling if pooling == "auto" else pooling
        self.normalize = habits.normalize if normalize is None else normalize
        limit = min(self._tokenizer.model_max_length, _positions(config), 4096)
        self.max_length = min(max_length or habits.max_length or limit, limit)
        self._chat, self._from_start, self._budget = chat, truncate == "start", batch_tokens
        if chat is not None and self._tokenizer.chat_template is None:
            message = f"chat: {model} has no chat template"
            raise ConfigError(message, where="chat")
        self._device = _device(device)
        self._model.to(self._device)
        self.dim = int(config.hidden_size)
        self.options: Mapping[str, Any] = {
            "model": model, "pooling": self.pooling, "max_length": self.max_length,
            "truncate": truncate, "chat": chat, "normalize": self.normalize, "revision": revision,
            "dtype": dtype,
        }  # fmt: skip
        decisive = {k: v for k, v in self.options.items() if k not in ("model", "revision")}
        self.fingerprint = digest_of(
            "transformers", json.dumps(decisive, sort_keys=True), *_identity(model, config),
            self._tokenizer.chat_template or "", self._tokenizer.backend_tokenizer.to_str(),
        )  # fmt: skip

    def __repr__(self) -> str:
        return shown(self, model=self.options["model"], dim=self.dim, pooling=self.pooling)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`. Equal to rounding for any batch that a text is in."""
        from tqdm import tqdm

        rows = self.prepare(checked_texts(texts))
        out = np.zeros((len(rows), self.dim), np.float32)
        cut = list(batches([len(row) for row in rows], self._budget))
        bar = tqdm(total=len(rows), unit="text", disable=None if progress else True, leave=False)
        before: list[tuple[list[int], Begun]] = []
        with bar:
            for batch in [*cut, None]:
                started = [] if batch is None else [(batch, self.compute([rows[i] for i in batch]))]
                for done, pooled in before:  # fetched while the device works on the next batch
                    out[done] = self.finish(pooled)
                    bar.update(len(done))
                before = started
        return out

    def prepare(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut to `max_length`; at least one."""
        if not texts:
            return []
        texts = list(texts)
        if self._chat is None:
            rows = self._tokenizer(texts, add_special_tokens=True, truncation=False, verbose=False)[
                "input_ids"
            ]
        else:  # the template writes special tokens itself: the tokenizer must not add them again
            talks = [[{"role": self._chat, "content": text}] for text in texts]
            written = self._tokenizer.apply_chat_template(talks, tokenize=False)
            rows = self._tokenizer(
                written, add_special_tokens=False, truncation=False, verbose=False
            )["input_ids"]
        return [self._cut(list(row)) or [self._pad()] for row in rows]

    def fits(self, texts: Sequence[str], most: int) -> bool:
        """Whether no more than `most` tokens are read of texts; they are counted where it could be more."""
        if len(texts) * self.max_length <= most:
            return True
        return sum(map(len, self.prepare(checked_texts(texts)))) <= most

    def _cut(self, row: list[int]) -> list[int]:
        if len(row) <= self.max_length:
            return row
        if self._from_start:
            return row[len(row) - self.max_length :]
        added = self._tokenizer.num_special_tokens_to_add() if self._chat is None else 0
        tail = row[len(row) - 1 :] if added > 1 else []  # keep a closing separator
        return [*row[: self.max_length - len(tail)], *tail]

    def _pad(self) -> int:
        for token in (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def compute(self, rows: Sequence[list[int]]) -> Begun:
        """Begin with a batch; on an accelerator its vectors come while the next is being begun.

        Padding is on the right and masked, so it changes nothing.
        """
        import torch

        with torch.inference_mode():
            pooled = self._pooled(rows)
            if self._device.type != "cuda":
                return Begun(pooled.cpu(), None)
            # The copy comes right behind its batch: asked for later, it would wait for the next as well.
            copied = pooled.to("cpu", non_blocking=True)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch does not annotate it
            ready.record(torch.cuda.current_stream(self._device))
            return Begun(copied, ready)

    def finish(self, begun: Begun) -> F32:
        """`(n, dim)` vectors that were begun, waited for and of unit length where that is wanted."""
        if begun.ready is not None:
            begun.ready.synchronize()
        found = np.array(begun.vectors.numpy(), np.float32)
        return unit_length(found) if self.normalize else found

    def _pooled(self, rows: Sequence[list[int]]) -> torch.Tensor:
        """`(n, dim)` single."""
        import torch

        lengths = np.array([len(row) for row in rows])
        present = np.arange(lengths.max()) < lengths[:, None]
        padded = np.full(present.shape, self._pad(), np.int64)
        padded[present] = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
        ids, mask, last = (self._put(x) for x in (padded, present.astype(np.int64), lengths - 1))
        # Looking for padding in a mask, a backbone waits for the device; without one it has none to find.
        seen = None if present.all() else mask
        state = self._model(input_ids=ids, attention_mask=seen).last_hidden_state  # (n, w, dim)
        if self.pooling == "cls":
            return torch.as_tensor(state[:, 0].float())
        if self.pooling == "last":
            places = torch.arange(len(rows), device=state.device)
            return torch.as_tensor(state[places, last].float())
        weight = mask[..., None].to(state.dtype)
        return torch.as_tensor(((state * weight).sum(1) / weight.sum(1)).float())

    def _put(self, values: NDArray[np.int64]) -> torch.Tensor:
        """On the device, without waiting for what it is at."""
        import torch

        found = torch.from_numpy(values)
        if self._device.type == "cuda":
            found = found.pin_memory()
        return found.to(self._device, non_blocking=True)


def _load(model: str, revision: str | None, dtype: str) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise MissingExtraError.of("transformers", "train") from None
    place: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    talkative = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **place)
        loaded = AutoModel.from_pretrained(
            model,
            use_safetensors=True,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            **place,
        )
    except (OSError, ValueError) as error:
        text = str(error).strip().split("\n")[0]
        message = (
            f"model: {model!r} cannot be loaded: expected a local folder with safetensors, or a "
            f"hub id that is in the cache or can be reached ({text})"
        )
        raise ConfigError(message, where="model") from None
    finally:
        if talkative:
            logging.enable_progress_bar()
    return tokenizer, loaded.eval()


def _is_causal(config: Any) -> bool:
    names = config.architectures or []
    return bool(getattr(config, "is_decoder", False)) or any(
        name.endswith(("ForCausalLM", "LMHeadModel")) for name in names
    )


def _positions(config: Any) -> int:
    """Tokens that the backbone has positions for."""
    most = int(getattr(config, "max_position_embeddings", 1 << 30) or 1 << 30)
    # The family of RoBERTa begins to count after the padding token.
    return (
        most - 2 if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet") else most
    )


def _habits(folder: Path, *, causal: bool) -> _Habits:
    usual = _Habits("last" if causal else "mean", normalize=False, max_length=None)
    if not (folder / "modules.json").is_file():
        return usual
    pooling, normalize, longest = usual
    for module in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
        kind = module["type"].rsplit(".", 1)[-1]
        config = folder / module["path"] / "config.json"
        if kind == "Pooling" and config.is_file():
            wanted = json.loads(config.read_text(encoding="utf-8"))
            modes = {"mean_tokens": "mean", "cls_token": "cls", "lasttoken": "last"}
            pooling = next(
                (mode for key, mode in modes.items() if wanted.get(f"pooling_mode_{key}")),
                wanted.get("pooling_mode", pooling),
            )
        normalize = normalize or kind == "Normalize"
    settings = folder / "sentence_bert_config.json"
    if settings.is_file():
        longest = json.loads(settings.read_text(encoding="utf-8")).get("max_seq_length")
    return _Habits(pooling, normalize, longest)


def _identity(model: str, config: Any) -> list[str | Path]:
    """What tells weights apart: the commit on the hub, or the contents of a folder's files."""
    commit = getattr(config, "_commit_hash", None)
    if commit and not Path(model).is_dir():
        return [model, commit]
    return [Path(model) / "config.json", *sorted(Path(model).glob("*.safetensors"))]


def _device(name: str) -> torch.device:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        message = f"device: expected a device that this machine has, got {name!r} and no CUDA"
        raise ConfigError(message, where="device")
    try:
        return torch.device(name)
    except RuntimeError:
        message = f"device: expected auto, cpu or cuda[:n], got {name!r}"
        raise ConfigError(message, where="device") from None


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        message = f"{name}: expected one of {list(allowed)}, got {value!r}"
        raise ConfigError(message, where=name)
