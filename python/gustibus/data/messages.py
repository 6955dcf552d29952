"""Chat messages as text, and the prompt that two conversations share."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Messages: TypeAlias = list[tuple[str, str]]
"""Role and content of each message."""

_TURN = re.compile(r"\n\n(Human|Assistant): ?")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def as_messages(value: Any) -> Messages | None:
    """The messages in a cell, or None where it is not a list of messages.

    A message is `{"role": ..., "content": ...}` with a text, or with a list of text parts.
    """
    if not isinstance(value, list) or not value:
        return None
    messages: Messages = []
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return None
        content = message.get("content")
        if isinstance(content, list):
            parts: list[Any] = [p.get("text") if isinstance(p, dict) else None for p in content]
            content = "".join(parts) if all(isinstance(p, str) for p in parts) else None
        if not isinstance(content, str):
            return None
        messages.append((message["role"], content))
    return messages


def as_transcript(text: str) -> Messages | None:
    r"""The messages of a text that begins with `\n\nHuman:`, or None for any other text."""
    if not text.startswith("\n\nHuman:"):
        return None
    parts = _TURN.split(text)[1:]
    return [(_ROLES[r], content) for r, content in zip(parts[::2], parts[1::2], strict=True)]


def common_prefix(a: Messages, b: Messages) -> int:
    """How many leading messages are equal; at least one message of each side is left over."""
    longest = min(len(a), len(b)) - 1
    return next((i for i in range(longest) if a[i] != b[i]), longest)


def render(messages: Messages) -> str:
    """One message is its content; several are paragraphs that begin with the role."""
    if len(messages) == 1:
        return messages[0][1]
    return "\n\n".join(f"{role}: {content}" for role, content in messages)
