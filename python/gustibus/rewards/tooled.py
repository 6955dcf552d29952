"""A reward that checks what a response claims with tools, and keeps the trace of how.

Claims of a response are put to tools; what the tools observe moves the plain reward up where they
agree and down where they contradict. A tool that is missing or fails moves nothing.

Source: Li et al. 2024, Tool-Augmented Reward Modeling (Themis), arXiv 2310.01045: thought, action,
input, observation, again, then a rationale and the reward.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from gustibus.data.arrays import number
from gustibus.errors import GustibusError
from gustibus.methods import method
from gustibus.rewards.tools import MAX_OUTPUT, Tool


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a response says and that a tool can find out."""

    thought: str
    """What is to be checked, in words."""
    action: str
    """Name of the tool."""
    input: str
    stated: str
    """What the response says that the tool should find."""


Plan = Callable[[str, str], Iterable[Claim]]
"""From prompt and response to claims; `find_claims`, or a language model."""
Verdict = Literal["agrees", "contradicts", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One claim, what was observed, and what that says of the claim."""

    thought: str
    action: str
    input: str
    observation: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ToolReward:
    """A reward and how it came about."""

    reward: float
    base: float
    rationale: str
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """The trace as JSON values, to be stored with the score."""
        return asdict(self) | {"steps": [asdict(step) for step in self.steps]}


@method(
    "OPS",
    source="Li et al. 2024, Themis, arXiv 2310.01045; the rule from observations to reward is ours",
    purpose="a reward under which an answer that a tool refutes loses to one that it confirms",
    check="tests/unit/test_rewards_tools.py::test_an_answer_that_contradicts_loses_to_one_that_agrees",
    example="ops.tool_reward(prompt='2+3?', response='2 + 3 = 5', base=0.4, tools={})",
)
def tool_reward(
    prompt: str,
    response: str,
    base: float,
    *,
    tools: Mapping[str, Tool],
    plan: Plan | None = None,
    strength: float = 4.0,
) -> ToolReward:
    """`base + strength * (agreeing - contradicted) / checked claims`; `base` where none was checked.

    Args:
        prompt: what was asked.
        response: what is rewarded.
        base: its plain reward, in log-odds.
        tools: by name.
        plan: what to check; `find_claims` by default.
        strength: in log-odds, above 0; an answer with a contradicted claim loses to one with an
            agreeing claim unless its plain reward is more than twice this higher.

    Raises:
        InputError: the base reward or the strength is no number in range.
    """
    base = number("base", base)
    strength = number("strength", strength, low=0, open_ends="(")
    steps = tuple(_step(claim, tools) for claim in (plan or find_claims)(prompt, response))
    right = sum(step.verdict == "agrees" for step in steps)
    wrong = sum(step.verdict == "contradicts" for step in steps)
    if not right + wrong:
        return ToolReward(base, base, "No claim was checked; the plain reward stands.", steps)
    reward = base + strength * (right - wrong) / (right + wrong)
    refuted = next((step.observation for step in steps if step.verdict == "contradicts"), None)
    rationale = f"{right} of {right + wrong} checked claims agree with what was observed."
    if refuted is not None:
        rationale += f" The first that does not should be {refuted[:80]!r}."
    return ToolReward(reward, base, rationale, steps)


def _step(claim: Claim, tools: Mapping[str, Tool]) -> Step:
    verdict: Verdict = "failed"
    if claim.action not in tools:
        observation = f"there is no tool {claim.action!r}"
    else:
        try:
            observation = tools[claim.action](claim.input)
            verdict = "agrees" if agrees(observation, claim.stated) else "contradicts"
        except GustibusError as error:
            observation = error.message
        except Exception as error:  # a tool may be anybody's; its failure must not be the reward's
            observation = f"{type(error).__name__}: {error}"
    return Step(claim.thought, claim.action, claim.input, observation[:MAX_OUTPUT], verdict)


def agrees(observation: str, stated: str) -> bool:
    """Whether what was observed is what was stated.

    A number agrees when it rounds to the stated one at the stated number of decimals; texts agree
    without regard to case and spaces around.
    """
    texts = [text.replace(",", "").strip() for text in (observation, stated)]
    if not all(map(_NUMBER.fullmatch, texts)):
        return observation.strip().casefold() == stated.strip().casefold()
    found, said = map(Fraction, texts)
    _, _, decimals = texts[1].partition(".")
    return abs(found - said) <= Fraction(1, 2 * 10 ** len(decimals)) if decimals else found == said


# every repetition is bounded, so that no text takes long to read
_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?(e[+-]?\d{1,3})?")
_AMOUNT, _GAP = r"-?\d[\d,]{0,30}(?:\.\d{1,30})?", r"\s{0,3}"
_SUM = re.compile(
    rf"(?<![\w.])({_AMOUNT}(?:{_GAP}[-+*/×÷^−]{_GAP}\(?{_AMOUNT}\)?){{1,20}}){_GAP}"
    rf"(?:=|equals){_GAP}({_AMOUNT})"
)
_DAY = r"\d{4}-\d\d-\d\d"
_WEEKDAY = re.compile(
    rf"({_DAY})\s{{1,3}}(?:is|was|falls on|fell on|will be)\s{{1,3}}(?:an?\s{{1,3}})?"
    r"((?:mon|tues|wednes|thurs|fri|satur|sun)day)", re.IGNORECASE,
)  # fmt: skip
_BETWEEN = re.compile(
    rf"(-?\d{{1,9}})\s{{1,3}}days?\s{{1,3}}(?:between|from)\s{{1,3}}({_DAY})\s{{1,3}}(?:and|to|until)"
    rf"\s{{1,3}}({_DAY})",
    re.IGNORECASE,
)
_CODE = re.compile(r"```(?:python|py)\n(.*?)```", re.DOTALL)


def find_claims(prompt: str, response: str) -> list[Claim]:
    """Claims that can be read off a response by its form: sums, weekdays, spans of days, code.

    Args:
        prompt: not read; a planner by a language model reads it.
        response: in plain text or Markdown.
    """
    del prompt
    code = _CODE.findall(response)
    text = _CODE.sub(" ", response)
    return [
        *_sums(re.sub(_DAY, " ", text)),
        *(Claim(f"on which weekday {day} falls", "calendar", f"weekday {day}", weekday)
          for day, weekday in _WEEKDAY.findall(text)),
        *(Claim(f"how many days lie between {first} and {last}", "calendar", f"days {first} {last}", days)
          for days, first, last in _BETWEEN.findall(text)),
        *(Claim("whether the code passes its tests", "unit_tests", program, "passed")
          for program in code),
    ]  # fmt: skip


def _sums(text: str) -> Iterator[Claim]:
    """Equations of numbers alone; one that goes on to either side says something else."""
    for found in _SUM.finditer(text):
        before = text[max(found.start() - 4, 0) : found.start()].rstrip()[-1:]
        after = text[found.end() : found.end() + 4].lstrip()[:1]
        if before in tuple("-+*/×÷^−(") or after in tuple("-+*/×÷^−%"):
            continue
        terms, total = found[1].strip(), found[2].rstrip(",")
        yield Claim(f"whether {terms} is {total}", "calculator", terms, total)
