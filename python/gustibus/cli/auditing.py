"""`gustibus audit`: the log of who did what, and whether it is whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gustibus.cli.common import JsonOption, StoreOption, emit, opened_store

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    log = typer.Typer(help="The audit log.", no_args_is_help=True)
    log.command("list")(list_audit_command)
    log.command("verify")(verify_audit_command)
    app.add_typer(log, name="audit")


def list_audit_command(
    *,
    limit: Annotated[int, Option(min=1, help="Most entries.")] = 100,
    database: StoreOption = "",
    as_json: JsonOption = False,
) -> int:
    """List who did what, the newest first; people appear under a hash."""
    from gustibus.store import list_audit

    with opened_store(database) as store, store.read() as conn:
        rows = list_audit(conn, limit=limit)
    if as_json:
        emit([
            {"seq": row.seq, "at": row.at.isoformat(), "actor": row.actor, "action": row.action,
             "object": row.object, "detail": row.detail, "hash": row.hash.hex()} for row in rows
        ])  # fmt: skip
        return 0
    for row in rows:
        sys.stdout.write(f"{row.seq:6} {row.at:%Y-%m-%dT%H:%M:%SZ} {row.actor:26} "
                         f"{row.action:16} {row.object}\n")  # fmt: skip
    return 0


def verify_audit_command(*, database: StoreOption = "", as_json: JsonOption = False) -> int:
    """Check the chain of the audit log; exit code 1 where an entry was altered or taken out."""
    from gustibus.store import verify_audit

    with opened_store(database) as store, store.read() as conn:
        wrong = verify_audit(conn)
    if as_json:
        emit({"whole": wrong is None, "broken_at": wrong})
    else:
        sys.stdout.write("whole\n" if wrong is None else f"broken at entry {wrong}\n")
    return 0 if wrong is None else 1
