"""What families share whose reward is a common linear one and a personal one in a fixed basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gustibus.models.base import LinearInUser, check_features
from gustibus.types import F32


class LinearTaste(LinearInUser):
    """`r(x) = (x - center) . (population + basis w)`; representation `[offset, phi]`."""

    prompt_dim: ClassVar[int] = 0

    if TYPE_CHECKING:

        @property
        def center(self) -> F32:
            """`(d,)` mean feature of the training items; the zero of every reward."""

        @property
        def population(self) -> F32:
            """`(d,)` reward direction that everybody shares."""

        @property
        def basis(self) -> F32:
            """`(d, k)` directions in which people differ."""

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def user_dim(self) -> int:
        """Number of personal directions."""
        return self.basis.shape[1]

    @property
    def representation_dim(self) -> int:
        """The offset and one number a direction."""
        return 1 + self.user_dim

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + k)`."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.column_stack([x @ self.population, x @ self.basis])
