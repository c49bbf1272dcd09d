"""What is done about thinking in one turn, and what the model at hand can do by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chatapp import Block, Engine, Request, Sampling, Session, TokenizingEngine, Turn
from chatapp_thinking.choice import KEY, Choice, chosen
from chatapp_thinking.marker import MARKER
from chatapp_thinking.need import needs_steps
from chatapp_thinking.options import ThinkingSettings
from chatapp_thinking.tags import Tag, knows, opened_by, reasons

STEPS = (
    "Think step by step and show each calculation before you answer. Then write a last line that begins with "
    f'"{MARKER}" and gives only the answer.'
)
"""What a model that does not reason by itself is asked for. Its wording is what `chatapp eval gsm8k` measures."""


@dataclass(slots=True)
class Plan:
    """The choice of this turn. `template` is the model's chat template; `native` says that it reasons by itself.

    `prompted`: the model was asked for steps and a marker. `enough` is set by `/think enough`; `inside` says that there
    is reasoning under way that could be ended.
    """

    choice: Choice
    template: str = ""
    native: bool = False
    prompted: bool = False
    temperature: float = 0.7
    enough: bool = False
    inside: bool = False


def current(session: Session) -> Engine:
    """The open engine; a turn under way has one."""
    engine = session.host.engines.current()
    assert engine is not None
    return engine


def plan_of(turn: Turn) -> Plan:
    """The turn's plan, made when first asked for."""
    plan = turn.notes.get(KEY)
    if not isinstance(plan, Plan):
        plan = turn.notes[KEY] = _plan(turn)
    return plan


def _plan(turn: Turn) -> Plan:
    session = turn.session
    choice, sampling, info = chosen(session), session.sampling, current(session).info
    metadata = info.details.get("metadata")
    template = str(metadata.get("tokenizer.chat_template", "")) if isinstance(metadata, Mapping) else ""
    native = reasons(template) or "reasoning" in info.features
    # Who is asked for steps computes by itself what a tool is there for.
    by_itself = choice.mode == "auto" and "tools" not in session.status
    wanted = choice.mode == "on" or (by_itself and needs_steps(turn.message.text))
    # An answer that must fit a grammar has no room for steps.
    free = sampling.grammar is None and sampling.json_schema is None
    if not wanted or not free:
        choice = replace(choice, votes=1)
    temperature = session.host.config(ThinkingSettings).vote_temperature
    return Plan(choice, template, native, wanted and free and not native, temperature)


def blocks(turn: Turn) -> list[Block]:
    """The request for steps, beside the user's message.

    There, because it stays with that message in later prompts: thinking can be switched at any time, and nothing that
    was read before is read again. In the system message each switch would change the beginning of the prompt.
    """
    if not plan_of(turn).prompted:
        return []
    return [Block(STEPS, title="Think step by step", slot="user", stability="turn", priority=None)]


def prepare(request: Request, turn: Turn) -> Request:
    """The request with the template's switch for thinking, and with sampling that suits steps and votes."""
    plan = plan_of(turn)
    variables: dict[str, Any] = dict(request.template)
    if plan.native and plan.choice.mode != "auto":
        for name in ("enable_thinking", "thinking"):
            if knows(plan.template, name):
                variables.setdefault(name, plan.choice.mode == "on")
    return replace(request, template=variables, sampling=_sampling(request.sampling, plan))


def _sampling(sampling: Sampling, plan: Plan) -> Sampling:
    if plan.prompted and sampling.repeat_penalty is None:
        # Steps repeat the numbers they work with; a penalty on that makes a model miscopy them.
        sampling = replace(sampling, repeat_penalty=1.0)
    if plan.choice.votes > 1 and not sampling.temperature:
        # Greedy samples would all be the same.
        sampling = replace(sampling, temperature=plan.temperature)
    return sampling


async def opened(turn: Turn, request: Request) -> Tag | None:
    """The tag with which the template itself begins the answer, where it does."""
    plan, engine = plan_of(turn), current(turn.session)
    if not reasons(plan.template) or not isinstance(engine, TokenizingEngine) or request.continue_last:
        return None
    if "tokenize" not in engine.info.features:
        return None
    return opened_by("".join(await engine.tokenize(request)))
