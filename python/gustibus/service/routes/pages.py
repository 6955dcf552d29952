"""Pages for people: the compare page and the operator pages, as files of the package.

The files hold no data and no secret, so they are open; what they show comes from the interface under
the token of a session or the key of an operator, which the pages send in a header.
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from gustibus.service.call import Call, Reply
from gustibus.service.routing import OPEN, Route


class File(NamedTuple):
    """One file of a page."""

    name: str
    operation: str
    summary: str


FILES: Final[dict[str, File]] = {
    "/onboard": File("onboard.html", "onboard_page", "The compare page; a session's token is its fragment."),
    "/onboard/page.css": File("onboard.css", "onboard_style", "Style of the compare page."),
    "/onboard/page.js": File("page.js", "onboard_module", "The compare page's module."),
    "/onboard/client.js": File("client.js", "onboard_client", "What the compare page asks the service."),
    "/onboard/markdown.js": File("markdown.js", "onboard_markdown", "How the compare page shows texts."),
    "/onboard/result.js": File("result.js", "onboard_result", "How the compare page shows what was learned."),
    "/onboard/words-de.js": File("words-de.js", "onboard_german", "The compare page in German."),
    "/onboard/words-fr.js": File("words-fr.js", "onboard_french", "The compare page in French."),
    "/onboard/icon.svg": File("icon.svg", "icon", "The mark."),
    "/admin": File("admin.html", "admin_page", "The operator pages; they ask for a key."),
    "/admin/page.css": File("admin.css", "admin_style", "Style of the operator pages."),
    "/admin/page.js": File("admin.js", "admin_module", "The operator pages' module."),
    "/admin/parts.js": File("parts.js", "admin_parts", "What the operator pages are built of."),
    "/admin/groups.js": File("groups.js", "admin_groups_module", "How groups are shown."),
    "/admin/operating.js": File("operating.js", "admin_operating_module", "Versions, jobs, usage, the log."),
    "/admin/people.js": File("people.js", "admin_people_module", "The page of people."),
    "/admin/map.js": File("map.js", "admin_map_module", "How people are drawn."),
}  # fmt: skip
"""Every file by its path."""

DOCS: Final[dict[str, File]] = {
    "/docs": File("docs.html", "docs_page", "Every operation, to be read and tried."),
    "/docs/page.css": File("docs.css", "docs_style", "Style of that page."),
    "/docs/page.js": File("docs.js", "docs_module", "Its module."),
}
"""Files that are there where the settings ask for documentation."""

_FILES: Final = {**FILES, **DOCS}
_FOLDER: Final = Path(__file__).parent.parent / "pages"
_KINDS: Final = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
}  # fmt: skip
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; "
    "frame-ancestors {ancestors}"
)


_VARY: Final = (b"vary", b"accept-encoding")
_GZIP: Final = re.compile(
    rb"(?:^|[,\s])gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE
)
"""A client that names gzip, unless it rules it out by a weight of zero."""


async def show(call: Call) -> Reply:
    """A file, with a policy under which a page runs nothing but what is served here."""
    name = _FILES[call.route.path].name
    framed = call.route.path.startswith("/onboard")  # the operator pages are never in a frame
    ancestors = call.state.settings.frame_ancestors if framed else "'none'"
    policy = _POLICY.format(ancestors=ancestors)
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    )
    kind = f"{_kind(name)}; charset=utf-8".encode()
    if not _GZIP.search(call.unpacks):
        return Reply(200, _read(name), kind, (*headers, _VARY))
    packed = (_VARY, (b"content-encoding", b"gzip"))
    return Reply(200, _packed(name), kind, (*headers, *packed))


def _kind(name: str) -> str:
    return _KINDS[Path(name).suffix]


@lru_cache(maxsize=64)
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


@lru_cache(maxsize=64)
def _packed(name: str) -> bytes:
    """The same at a third of its size: on a slow network the page waits for its bytes."""
    return gzip.compress(_read(name), mtime=0)


def _routes(files: dict[str, File]) -> tuple[Route, ...]:
    return tuple(
        Route(
            "GET",
            path,
            file.operation,
            OPEN,
            show,
            "Pages",
            file.summary,
            response=_kind(file.name),
        )
        for path, file in files.items()
    )


ROUTES = _routes(FILES)
DOCS_ROUTES = _routes(DOCS)
