"""A model on disk: safetensors and JSON in one folder, verified by digest, written whole or not.

Layout: `model.safetensors` (arrays of the model and of the reference set), `people.safetensors` with
`people.json` (posteriors of the training people), `pool.safetensors` with `pool.json` (questions for
onboarding, optional), `transform.json` (what rewards may be reported as, optional),
`training.safetensors` (keyed hashes of what it was trained on, optional), `card.json`, `README.md` (the
card for people), `MANIFEST.json` (SHA-256 of every other file). The digest of the artifact is the SHA-256
of the manifest's file table.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.data.strengths import Strengths
from gustibus.errors import (
    ArtifactError,
    GustibusError,
    InputError,
    MissingExtraError,
    NoArtifactError,
)
from gustibus.folders import put_in_place, scratch_folder
from gustibus.models.base import PreferenceModel, without_nan
from gustibus.models.fingerprint import fingerprint
from gustibus.models.hybrid import load_model
from gustibus.onboarding import QuestionPool
from gustibus.posterior import Posterior
from gustibus.rewards import Transform
from gustibus.showing import shown
from gustibus.types import F32, I32, U8

FORMAT = 1
_TRAINING = "training.safetensors"
_PIN = 12  # digits of a digest that tell models apart
_ALLOWED = (".safetensors", ".json", ".md", ".png")
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What comes of reading files that are whole and hold something else than a model."""


@dataclass(frozen=True)
class People:
    """Posteriors of people as arrays.

    Attributes:
        ids: names, all different.
        means: `(p, u)`.
        covariances: `(p, u, u)`, or `(0, u, u)` when they were not kept.
        counts: `(p,)` comparisons that each posterior rests on.
        made_by: fingerprint of the model that placed them; empty where that is not known.
    """

    ids: tuple[str, ...]
    means: F32
    covariances: F32
    counts: I32
    made_by: str = ""

    @classmethod
    def empty(cls, user_dim: int) -> People:
        """Nobody."""
        u = user_dim
        return cls((), np.zeros((0, u), np.float32), np.zeros((0, u, u), np.float32),
                   np.zeros(0, np.int32))  # fmt: skip

    def __repr__(self) -> str:
        return shown(self, people=len(self.ids), dim=self.means.shape[-1])

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, user: object) -> bool:
        return user in self.rows

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each person."""
        return {name: row for row, name in enumerate(self.ids)}

    def find(self, user: str) -> Posterior | None:
        """The posterior of one person, None when unknown."""
        row = self.rows.get(user)
        if row is None:
            return None
        u = self.means.shape[1]
        covariance = self.covariances[row] if len(self.covariances) else np.zeros((u, u))
        return Posterior(
            weights=np.ones(1),
            means=self.means[row].astype(np.float64)[None],
            covariances=covariance.astype(np.float64)[None],
            log_evidence=0.0,
            iterations=0,
            converged=True,
            comparisons=int(self.counts[row]),
            made_by=self.made_by,
        )


@dataclass(frozen=True)
class Trained:
    """Who and what a model was trained on, as keyed hashes: whoever has the key can ask, nobody can read.

    Attributes:
        people: `(p, 32)` bytes, sorted.
        comparisons: `(n, 32)` bytes, sorted.
        key: what tells the key from others; empty where that was not kept.
    """

    people: U8
    comparisons: U8
    key: str = ""

    @classmethod
    def of(cls, people: Iterable[bytes], comparisons: Iterable[bytes], *, key: str = "") -> Trained:
        """From hashes of 32 bytes each, in any order."""
        return cls(_stacked(people), _stacked(comparisons), key)

    @cached_property
    def known(self) -> frozenset[bytes]:
        """The hashes of comparisons, to look up."""
        return frozenset(row.tobytes() for row in self.comparisons)


def _stacked(hashes: Iterable[bytes]) -> U8:
    return np.frombuffer(b"".join(sorted(set(hashes))), np.uint8).reshape(-1, 32)


@dataclass(frozen=True)
class Artifact:
    """A fitted model with all that serving and onboarding need.

    Attributes:
        model: the fitted model.
        card: JSON record: family, encoder, data, run, metrics, created, version.
        people: posteriors of the training people.
        reference: `(k, r)` representations of a fixed set of responses, for normalised scores.
        pool: questions for onboarding, or None.
        transform: of rewards, which policies are trained with and requests may ask for, or None.
        trained: who and what it was trained on, or None where that was not kept.
        digest: identity of the saved folder; empty before it is saved.
    """

    model: PreferenceModel
    card: Mapping[str, Any]
    people: People
    reference: F32
    pool: QuestionPool | None = None
    transform: Transform | None = None
    digest: str = field(default="")
    trained: Trained | None = None

    def __repr__(self) -> str:
        encoder = self.card.get("encoder")
        return shown(
            self, family=self.card.get("family"), people=len(self.people),
            encoder=encoder["name"] if encoder else None,
            questions=None if self.pool is None else len(self.pool.ids),
            digest=self.digest[:12] or None,
        )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse people whom another model placed."""
        if self.people.made_by and self.people.made_by != self.fingerprint:
            message = (
                f"people: were placed by model {self.people.made_by[:12]}, not by "
                f"{self.fingerprint[:12]}; place them again from their answers"
            )
            raise InputError(message, where="people")

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the model alone, which states of people carry."""
        return fingerprint(self.model)

    @property
    def pin(self) -> str:
        """The name that vectors of this model carry: it is meant by it in every registry, and no other."""
        return f"default@{self.digest[:_PIN]}"

    def made(self, vectors_of: str) -> bool:
        """Whether vectors are of this model, by the name that they carry."""
        digest = vectors_of.rpartition("@")[2]
        return len(digest) >= _PIN and self.digest.startswith(digest)

    @property
    def embedding_norm(self) -> float | None:
        """Length that 99.9 % of the embeddings of the training have at most; None where none was kept."""
        found = self.card.get("data", {}).get("embedding_norm")
        return None if found is None else float(found)

    @property
    def strengths(self) -> Strengths | None:
        """What an answer of some strength counts for; None where all count alike."""
        found = self.card.get("strengths")
        return None if found is None else Strengths.of_json(found)

    def save(self, folder: str | Path) -> Artifact:
        """Write the folder and return the artifact with its digest.

        The folder appears at once, complete, or not at all; a folder that exists is replaced only
        when it is an artifact or empty. What a killed process left of an earlier try is removed.

        Raises:
            InputError: `folder` exists and holds something else.
            ArtifactError: the model or its questions hold NaN, for which JSON has no word.
        """
        target = Path(folder)
        check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target) as scratch:
            self._write(scratch)
            manifest = _manifest(scratch)
            _write_json(scratch / "MANIFEST.json", manifest)
            put_in_place(scratch, target)
        return replace(self, digest=manifest["digest"])

    def _write(self, folder: Path) -> None:
        params, arrays = self.model.save()
        card = without_nan(self.card) | {"format": FORMAT, "params": params}
        _write_json(folder / "card.json", card)
        tensors = {f"model.{name}": np.ascontiguousarray(v) for name, v in arrays.items()}
        _write_tensors(folder / "model.safetensors", {**tensors, "reference": self.reference})
        people = {k: getattr(self.people, k) for k in ("means", "covariances", "counts")}
        _write_tensors(folder / "people.safetensors", people)
        _write_json(folder / "people.json", list(self.people.ids))
        if self.pool is not None:
            pool_params, pool_arrays = self.pool.save()
            _write_json(folder / "pool.json", pool_params)
            _write_tensors(folder / "pool.safetensors", pool_arrays)
        if self.transform is not None:
            _write_json(folder / "transform.json", self.transform.save())
        if self.trained is not None:
            trained = {k: getattr(self.trained, k) for k in ("people", "comparisons")}
            named = {"key": self.trained.key} if self.trained.key else None
            _write_tensors(folder / _TRAINING, trained, named)
        (folder / "README.md").write_text(_card_text(self.card), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Artifact:
        """Read and verify a folder.

        Raises:
            ArtifactError: a file is missing, altered, half-written, of a newer format or of a kind
                that could run code.
        """
        root = Path(folder)
        digest = verify(root)
        try:
            return cls._read(root, digest)
        except (ArtifactError, MissingExtraError):
            raise
        except (GustibusError, *BROKEN) as error:
            message = f"{root}: cannot be read: {type(error).__name__}: {error}"
            raise ArtifactError(message, where=str(root)) from error

    @classmethod
    def _read(cls, root: Path, digest: str) -> Artifact:
        """What a folder holds; files that belong to no model end in any of `BROKEN`."""
        card = json.loads((root / "card.json").read_text(encoding="utf-8"))
        if card.get("format", 0) > FORMAT:
            message = f"{root}: format {card['format']} is newer than this version knows ({FORMAT})"
            raise ArtifactError(message, where=str(root))
        tensors = _read_tensors(root / "model.safetensors")
        reference = tensors.pop("reference")
        arrays = {name.removeprefix("model."): value for name, value in tensors.items()}
        params = card.pop("params")
        model = load_model(card["family"], params, arrays)
        people = _read_tensors(root / "people.safetensors")
        ids = json.loads((root / "people.json").read_text(encoding="utf-8"))
        pool = read_pool(root)
        transform = None
        if (root / "transform.json").exists():
            saved = json.loads((root / "transform.json").read_text(encoding="utf-8"))
            transform = Transform.load(saved)
        trained = None
        if (root / _TRAINING).exists():
            trained = Trained(**_read_tensors(root / _TRAINING), key=_key_of(root / _TRAINING))
        placed = People(tuple(ids), **people, made_by=fingerprint(model))
        return cls(model, card, placed, reference, pool, transform, digest, trained)


def find_trained(folder: Path, *, user: str, hashed: bytes, key: str) -> bool | None:
    """Whether a model was trained on somebody, by what its folder keeps of that; no other file is read.

    Args:
        folder: of the model; only some rows of the hashes are read, and they are not verified.
        user: name of the person, for folders without hashes: those of the posteriors may have it.
        hashed: the name under the key, 32 bytes.
        key: what tells the key from others.

    Returns:
        None where the folder does not tell: it is gone, or keeps no hashes, or of another key.

    Raises:
        ArtifactError: it cannot be read.
    """
    hashes, names = folder / _TRAINING, folder / "people.json"
    try:
        if hashes.is_file() and _key_of(hashes) in {"", key}:
            with _safe_open(hashes) as file:
                people = file.get_slice("people")
                count = people.get_shape()[0]
                row = bisect_left(
                    range(count), hashed, key=lambda at: people[at : at + 1].tobytes()
                )
                return row < count and people[row : row + 1].tobytes() == hashed
        if names.is_file() and user in json.loads(names.read_text(encoding="utf-8")):
            return True
    except BROKEN as error:
        message = f"{folder}: what it was trained on cannot be read ({error})"
        raise ArtifactError(message, where=str(folder)) from error
    return None


def check_target(folder: Path) -> None:
    """Refuse a place that an artifact would not replace.

    Raises:
        InputError: there is a file, or a folder that holds something else.
    """
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / "MANIFEST.json").exists():
        message = f"folder: {folder} exists and is not an artifact; refusing to replace it"
        raise InputError(message, where="folder")


def verify(folder: Path) -> str:
    """Check every file of an artifact against its manifest and return the digest.

    Raises:
        ArtifactError: names the file and what is wrong with it.
    """
    manifest_path = folder / "MANIFEST.json"
    if not folder.exists():
        message = f"{folder}: no such folder"
        raise NoArtifactError(message, where=str(folder))
    if not manifest_path.is_file():
        message = (
            f"{folder}: no MANIFEST.json: not an artifact, or one that was not written to the end"
        )
        raise ArtifactError(message, where=str(folder))
    try:
        files: dict[str, str] = json.loads(manifest_path.read_text(encoding="utf-8"))["files"]
        if not all(isinstance(digest, str) for digest in files.values()):
            raise TypeError("files: expected a digest a file")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"{manifest_path}: not a manifest ({error})"
        raise ArtifactError(message, where=str(manifest_path)) from None
    found = {p.name for p in folder.iterdir()} - {"MANIFEST.json"}
    for name in sorted(found - files.keys()):
        message = f"{folder / name}: not listed in the manifest"
        raise ArtifactError(message, where=name)
    for name, expected in sorted(files.items()):
        path = folder / name
        if name not in found or path.is_symlink() or path.suffix not in _ALLOWED:
            message = f"{path}: missing, a link, or of a kind that is not allowed"
            raise ArtifactError(message, where=name)
        actual = _sha256(path)
        if actual != expected:
            message = f"{path}: altered or half-written: {actual[:12]}… is not {expected[:12]}…"
            raise ArtifactError(message, where=name)
    return _digest(files)


def _manifest(folder: Path) -> dict[str, Any]:
    files = {p.name: _sha256(p) for p in sorted(folder.iterdir())}
    return {"files": files, "digest": _digest(files)}


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write_json(path: Path, value: Any) -> None:
    try:
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:  # NaN or infinity, for which JSON has no word
        message = f"{path.name}: cannot be written as JSON ({error})"
        raise ArtifactError(message, where=path.name) from None
    path.write_text(text + "\n", encoding="utf-8")


def _write_tensors(
    path: Path, arrays: Mapping[str, Any], metadata: dict[str, str] | None = None
) -> None:
    save_file = _safetensors().save_file
    path.touch()  # with the mode of the files beside it; save_file leaves its own to their owner alone
    mode = path.stat().st_mode
    tensors = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    save_file(tensors, str(path), metadata)
    path.chmod(mode)


def read_pool(root: Path) -> QuestionPool | None:
    """The questions of a model's folder alone, None where it has none.

    Raises:
        ArtifactError: they cannot be read.
    """
    if not (root / "pool.json").exists():
        return None
    return QuestionPool.load(
        json.loads((root / "pool.json").read_text(encoding="utf-8")),
        _read_tensors(root / "pool.safetensors"),
    )


def _read_tensors(path: Path) -> dict[str, Any]:
    try:
        return dict(_safetensors().load_file(str(path)))
    except Exception as error:  # safetensors raises its own error type, which is not exported
        message = f"{path}: not readable as safetensors ({error})"
        raise ArtifactError(message, where=path.name) from None


def _key_of(path: Path) -> str:
    """What tells the key of hashes from others, as their file says; empty where it does not."""
    with _safe_open(path) as file:
        return str((file.metadata() or {}).get("key", ""))


@contextmanager
def _safe_open(path: Path) -> Iterator[Any]:
    """A file of tensors, of which only what is asked for is read."""
    _safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            yield file
    except SafetensorError as error:
        message = f"{path}: not readable as safetensors ({error})"
        raise ArtifactError(message, where=path.name) from None


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError.of("safetensors", "serve") from None
    return safetensors.numpy


def _card_text(card: Mapping[str, Any]) -> str:
    """The model card as Markdown, for people and for model hubs."""
    data = card.get("data", {})
    encoder = card.get("encoder") or {"name": "ready-made embeddings"}
    objective = card.get("run", {}).get("objective")
    trained = f"objective `{objective}`, " if objective else ""
    lines = [
        "---", "library_name: gustibus", "tags: [preference-learning, personalisation]", "---", "",
        f"# {card.get('name', 'gustibus model')}", "",
        f"Family `{card.get('family')}`, encoder `{encoder['name']}`, {trained}"
        f"written by gustibus {card.get('version')} on {card.get('created')}.", "",
        "## Intended use", "",
        "Scores responses for a named person, or for the population when the person is unknown. "
        "Scores are log-odds: a difference of 1 between two responses means odds of 2.7 to 1.", "",
        "## Data", "", "| | |", "| --- | --- |",
        *[f"| {key} | {value} |" for key, value in data.items()], "",
        *_figures(card.get("metrics", {})),
        *_self_test(len(card.get("self_test", ()))),
        "## Limits", "",
        "A reward is evidence about one person's taste under the data above, not about truth or "
        "safety. People unlike those in the data are placed by the population prior first.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _figures(metrics: Mapping[str, float]) -> list[str]:
    """The section of figures; none where nobody was held out."""
    if not metrics:
        return []
    return [
        "## Figures", "", "| | |", "| --- | --- |",
        *[f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in metrics.items()], "",
        "Settings were chosen by these figures, which flatters them; `gustibus eval` judges the model "
        "on people who had no part in it.", "",
    ]  # fmt: skip


def _self_test(pairs: int) -> list[str]:
    """The section on pairs that are kept with their scores; none where there are none."""
    if not pairs:
        return []
    return [
        "## Self-test", "",
        f"`self_test` of `card.json` holds {pairs} pairs of texts with their scores for the population. "
        "Whatever encodes texts for this model must give the same to 0.02; a service refuses it where that "
        "is not so.",
        "",
    ]  # fmt: skip
