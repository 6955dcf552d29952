"""gustibus: learn each person's own reward from comparisons, serve it, decide for groups.

`import gustibus` needs numpy alone. Names below are loaded on first use, and learning, encoding and
serving bring their own dependencies with the extras `train`, `serve` and `client`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gustibus.artifact import Artifact as Artifact
    from gustibus.client import AsyncClient as AsyncClient
    from gustibus.client import Client as Client
    from gustibus.data import Comparisons as Comparisons
    from gustibus.data import Dataset as Dataset
    from gustibus.data import read as read
    from gustibus.encoders import load_encoder as load_encoder
    from gustibus.errors import GustibusError as GustibusError
    from gustibus.errors import InputError as InputError
    from gustibus.errors import UnknownUserWarning as UnknownUserWarning
    from gustibus.evaluation import evaluate as evaluate
    from gustibus.models import MODELS as MODELS
    from gustibus.posterior import Answering as Answering
    from gustibus.posterior import Evidence as Evidence
    from gustibus.posterior import GaussianPrior as GaussianPrior
    from gustibus.posterior import Posterior as Posterior
    from gustibus.posterior import fit_population as fit_population
    from gustibus.posterior import place as place
    from gustibus.scoring import Scorer as Scorer
    from gustibus.training import RunConfig as RunConfig
    from gustibus.training import train as train

_HOME = {
    "Answering": "posterior",
    "Artifact": "artifact",
    "AsyncClient": "client",
    "Client": "client",
    "Comparisons": "data",
    "Dataset": "data",
    "Evidence": "posterior",
    "GaussianPrior": "posterior",
    "GustibusError": "errors",
    "InputError": "errors",
    "MODELS": "models",
    "Posterior": "posterior",
    "RunConfig": "training",
    "Scorer": "scoring",
    "UnknownUserWarning": "errors",
    "evaluate": "evaluation",
    "fit_population": "posterior",
    "load_encoder": "encoders",
    "place": "posterior",
    "read": "data",
    "train": "training",
}

__all__ = ["__version__", "load", *_HOME]
__version__: str


def load(folder: str | Path) -> Scorer:
    """A trained model from its folder, ready to score texts.

    Args:
        folder: that `train` wrote, or a copy of it.

    Raises:
        InputError: `folder` is no path.
        NoArtifactError: there is no such folder.
        ArtifactError: the folder is not a whole and unaltered model.
    """
    if not isinstance(folder, str | Path):
        error: type[GustibusError] = __getattr__("InputError")
        message = f"folder: expected a path, got {type(folder).__name__}"
        raise error(message, where="folder")
    scorer: Scorer = __getattr__("Scorer")(__getattr__("Artifact").load(folder))
    return scorer


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gustibus.{_HOME[name]}"), name)
    if name == "__version__":  # reading package metadata costs as much as the rest of the import
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("gustibus")
        except PackageNotFoundError:  # used from a source tree
            return "0.0.0"
    message = f"module 'gustibus' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
