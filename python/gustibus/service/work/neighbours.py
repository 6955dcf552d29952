"""The map of neighbours, made for the model in service and kept with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gustibus.service.crowd import crowd_of
from gustibus.service.embedding import LEAST, embed_aside
from gustibus.service.work.task import JobError, Task
from gustibus.store import put_neighbours


async def map_neighbours(task: Task) -> dict[str, Any]:
    """Place the people that the map draws, by name.

    Raises:
        JobError: another model is served by now, or too few people are drawn.
        MissingExtraError: scikit-learn is not installed here.
    """
    state = task.state
    serving, model = state.serving, task.job.params.get("model")
    if serving is None or serving.digest != model:
        message = "another version of the model is served by now; ask for its map"
        raise JobError(message)
    crowd = await crowd_of(state, serving)
    rows = crowd.drawn()
    if len(rows) < LEAST:
        message = f"{len(rows)} people are drawn; a picture of neighbours needs {LEAST}"
        raise JobError(message)
    users, vectors = [crowd.names[row] for row in rows], crowd.means[rows]
    task.total = len(rows)
    points = await embed_aside(vectors.astype(np.float64))
    kept = await task.state.threads.write(
        partial(put_neighbours, model=model, users=users, points=points)
    )
    task.done = kept
    return {"people": kept, "model": model}
