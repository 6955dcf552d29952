"""Jobs that take minutes or hours in a process of their own: what may be asked, and what is kept of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.data.files import table_suffix
from gustibus.errors import GustibusError, InputError
from gustibus.models import MODELS
from gustibus.models.automatic_options import AUTO, auto_options
from gustibus.models.keywords import option_names
from gustibus.service.call import Call
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.ids import Id
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.routes.imports import Name
from gustibus.service.work.imports import source_of
from gustibus.store import (
    Connection,
    existing_items,
    get_version,
    unknown_users,
)

File = Annotated[str, Meta(min_length=1, max_length=512)]


class BulkScore(Struct, forbid_unknown_fields=True, tag_field="kind", tag="bulk_score"):
    """The best candidates of many people under the model in service, as a file of Parquet.

    Candidates are exactly one of a file, items by name, and the items with a tag.
    """

    file: File | None = None
    """A table relative to the operator's folder, with the columns id and text, or id and embedding."""
    items: Annotated[list[Id], Meta(min_length=1, max_length=10_000)] | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    prompt: Annotated[str, Meta(max_length=32_768)] | None = None
    """That the texts of a file answer."""
    users: Annotated[list[Id], Meta(min_length=1, max_length=10_000)] | None = None
    """Whom it is for; everybody who has answered without."""
    top: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Candidates of each person; all of them where there are fewer."""


class Evaluate(Struct, forbid_unknown_fields=True, tag_field="kind", tag="evaluate"):
    """A version of the model, judged on answers that it was not trained on."""

    version: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    """The one in service without."""
    file: File | None = None
    """Comparisons relative to the operator's folder; those of the store without."""
    golden: bool = False
    """Whether it is judged on the operator's golden set instead, as promotions ask."""
    draws: Annotated[int, Meta(ge=1, le=100)] = 10
    """Of every person's first answers."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)] = 0


class Train(Struct, forbid_unknown_fields=True, tag_field="kind", tag="train"):
    """Another version of the model, learned from the comparisons of the store; it is not promoted."""

    family: Annotated[str, Meta(min_length=1, max_length=64)] = AUTO
    """A family, or `auto` to choose one on held-out people."""
    options: Annotated[dict[Name, Any], Meta(max_length=64)] = {}
    """Of the family, as `gustibus train --set` takes them."""
    objective: Annotated[str, Meta(max_length=64)] = ""
    """What a family that trains by name minimises; its own unless given."""
    objective_options: Annotated[dict[Name, Any], Meta(max_length=64)] = {}
    split: Literal["four_cells", "all"] = "four_cells"
    """Whether people and prompts are held out, by which the version can be judged."""
    questions: Annotated[int, Meta(ge=0, le=20_000)] = 500
    """Size of the pool for onboarding."""
    minutes: Annotated[float, Meta(gt=0, le=10_080)] = 60.0
    """That it may take; `auto` chooses what it tries by them."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)] = 0


def need_files(call: Call) -> None:
    """Refuse a job whose result has nowhere to go.

    Raises:
        Problem: 422.
    """
    if not call.state.settings.files:
        raise invalid("/kind", "GUSTIBUS_FILES is not set, so that there is nowhere for a result")


def _digest_in_service(call: Call) -> str:
    if call.state.serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    return call.state.digest


def scoring(call: Call, body: BulkScore) -> dict[str, Any]:
    """What a bulk scoring is asked to do."""
    call.need("users:read")
    need_files(call)
    given = {
        name: value for name in ("file", "items", "tag")
        if (value := getattr(body, name)) is not None
    }  # fmt: skip
    if len(given) != 1:
        raise invalid("", f"expected exactly one of file, items and tag, got {sorted(given)}")
    if body.file is None and body.prompt is not None:
        raise invalid("/prompt", "goes with a file; items have prompts of their own")
    for name in ("tag", "prompt"):
        if getattr(body, name) is not None:
            refuse_unstorable(getattr(body, name), f"/{name}")
    if body.file is not None:
        _check_file(call, body.file)
    if body.items is not None:
        given["items"] = list(dict.fromkeys(body.items))
    if body.prompt is not None:
        given["prompt"] = body.prompt
    if body.users is not None:
        given["users"] = sorted(set(body.users))
    return {**given, "top": body.top, "model": _digest_in_service(call)}


def _check_file(call: Call, name: str) -> None:
    """Refuse a table that is not in the operator's folder, or of no kind that is read."""
    refuse_unstorable(name, "/file")
    try:
        table_suffix(source_of(call.state.settings.import_folder, name))
    except InputError as error:
        if error.where == "/file":
            raise
        endings = "expected a file that ends in .parquet, .jsonl, .csv or .tsv"
        raise invalid("/file", f"{endings}, got {name!r}") from None


def refuse_unknown(conn: Connection, call: Call, body: BulkScore) -> None:
    """Refuse people and items that do not exist."""
    people = call.state.people
    given = {
        "users": unknown_users(conn, users=(u for u in body.users or () if u not in people)),
        "items": set(body.items or ()) - existing_items(conn, items=body.items or ()),
    }
    for field, unknown in given.items():
        for place, name in enumerate(getattr(body, field) or ()):
            if name in unknown:
                who = "nobody called" if field == "users" else "no item"
                pointer = f"/{field}/{place}"
                detail = f"{pointer}: there is {who} {name!r}"
                raise Problem("not_found", detail, errors=[(pointer, detail)])


def judging(call: Call, body: Evaluate) -> dict[str, Any]:
    """What an evaluation is asked to do."""
    call.need("models:read")
    need_files(call)
    params: dict[str, Any] = {"draws": body.draws, "seed": body.seed}
    if body.golden:
        _check_golden(call, body)
        params["golden"] = True
    if body.file is not None:
        _check_file(call, body.file)
        params["file"] = body.file
    if body.version is None:
        params["model"] = _digest_in_service(call)
    elif not call.state.settings.models:
        raise invalid("/version", "GUSTIBUS_MODELS is not set, so that there are no versions")
    return params


def _check_golden(call: Call, body: Evaluate) -> None:
    """Refuse what the golden set of the operator cannot be asked for."""
    call.need("models:write")  # what comes of it is kept with the version
    if body.file is not None:
        raise invalid("/golden", "is a file of its own; send file or golden, not both")
    if not call.state.settings.golden:
        raise invalid("/golden", "GUSTIBUS_GOLDEN is not set, so that there is no golden set")
    if not call.state.settings.models:
        raise invalid("/golden", "GUSTIBUS_MODELS is not set, so that there are no versions")


def digest_of(conn: Connection, call: Call, version: int) -> str:
    """The digest of a version by its number.

    Raises:
        Problem: there is none.
    """
    model = call.state.settings.model_name
    row = get_version(conn, model=model, version=version)
    if row is None:
        raise invalid("/version", f"there is no version {version} of {model!r}")
    return row.digest


def learning(call: Call, body: Train) -> dict[str, Any]:
    """What a training is asked to do."""
    call.need("models:write")
    need_files(call)
    if not call.state.settings.models:
        raise invalid("/kind", "GUSTIBUS_MODELS is not set, so that there is nowhere for a version")
    for field in ("options", "objective_options"):
        _check_options(getattr(body, field), f"/{field}")
    _check_family(body.family, body.options)
    return {name: getattr(body, name) for name in body.__struct_fields__}


def _check_family(family: str, options: dict[str, Any]) -> None:
    """Refuse a family that is not known, and names of options that it has not, as far as it says."""
    try:
        run = None if family == AUTO else MODELS[family].run
    except GustibusError as error:
        raise invalid("/family", error.message) from None
    if run is None:
        try:
            auto_options(options)
        except (GustibusError, TypeError) as error:
            raise invalid("/options", str(error)) from None
        return
    kind = getattr(run, "options_kind", None)
    if kind is None:
        return  # its process tells
    own = list(option_names(kind))
    for name in options:
        if name not in {*own, "known_items"}:
            detail = f"{family} has no option {name!r}; known: {own}"
            raise invalid("/options" + pointer_to(name), detail)


def _check_options(value: Any, pointer: str) -> None:
    """Refuse what no engine keeps, however deep it is."""
    if isinstance(value, str):
        refuse_unstorable(value, pointer)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise invalid(pointer, "expected a number of 64 bits")
    elif isinstance(value, dict):
        for name, one in value.items():
            refuse_unstorable(name, pointer)
            _check_options(one, pointer + pointer_to(name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            _check_options(one, pointer + pointer_to(place))
