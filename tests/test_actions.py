"""One typed function is a slash command, a shell command and a tool. Running it and asking for consent included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from chatapp.actions import Action, Rest, action, arguments_model, parse, similar, split, usage
from chatapp.errors import ChatappError, PluginError, UsageError
from chatapp.events import Event, Progress
from chatapp.messages import Text
from chatapp.session import Session
from chatapp.testing import RecordingUI
from tests.test_hooks import plugin


def _towns(session: Session, prefix: str) -> Iterable[str]:
    return ["Oslo", "Rome"]


@action("go far", tool=True)
async def go(
    session: Session,
    town: Annotated[str, "Where to", _towns],
    days: int,
    how: Literal["car", "train"] = "train",
    cost: float | None = None,
    *,
    luggage: Annotated[Path | None, "What to take"] = None,
    friends: tuple[str, ...] = (),
    back_again: Annotated[bool, "Return"] = False,
) -> str:
    """Go somewhere.

    And tell what was seen.
    """
    return f"{town!r} {days!r} {how!r} {cost!r} {luggage!r} {friends!r} {back_again!r}"


@action("note")
async def note(session: Session, place: str, text: Annotated[str, Rest()]) -> str:
    """Keep a text."""
    return f"{place}: {text}"


@action
async def add_all(session: Session, *numbers: int, start: Literal[0, 100] = 0) -> str:
    """Add numbers."""
    return str(start + sum(numbers))


@action("greet", tool=True, consent="free", shell=False)
async def greet(session: Session, text: Annotated[str, Rest()] = "everyone") -> AsyncIterator[Event | str]:
    """Greet someone."""
    yield Progress("Greeting", 1, 1)
    yield f"Hello {text}."


@action("fail", tool=True, consent="free")
async def fail(session: Session, ours: bool = False) -> str:
    """Raise something."""
    if ours:
        raise UsageError("Not today.")
    return str(1 / 0)


@action("odd")
async def odd(session: Session) -> Any:
    """Give what nobody can show."""
    return 42


ACTIONS = [go, note, add_all, greet, fail, odd]


@pytest.fixture
def acting(session: Session) -> Session:
    """A session with these actions."""
    session.host.add("acts", plugin(actions=lambda: ACTIONS))
    return session


async def say(session: Session, line: str) -> str:
    """The text that a slash line shows."""
    return "".join([event.text async for event in session.run(line) if isinstance(event, Text)])


def test_what_is_declared() -> None:
    assert (go.name, go.summary, go.tool_name) == ("go far", "Go somewhere.", "go_far")
    assert (add_all.name, add_all.tool, add_all.consent, add_all.shell) == ("add all", False, "ask", True)
    assert [(each.name, each.option, each.many, each.rest, each.required) for each in go.params] == [
        ("town", False, False, False, True),
        ("days", False, False, False, True),
        ("how", False, False, False, False),
        ("cost", False, False, False, False),
        ("luggage", True, False, False, False),
        ("friends", True, True, False, False),
        ("back_again", True, False, False, False),
    ]
    assert go.params[0].complete is _towns
    assert usage(go) == "/go far TOWN DAYS [HOW] [COST] [--luggage LUGGAGE] [--friends FRIENDS] [--back-again]"
    assert usage(note) == "/note PLACE TEXT…"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/go far Oslo 3", "'Oslo' 3 'train' None None () False"),
        ('/go far "New York" 3 car 9.5', "'New York' 3 'car' 9.5 None () False"),
        ("go far Oslo --back-again 3", "'Oslo' 3 'train' None None () True"),
        ("/go far Oslo 3 --friends Ann --friends Bob", "'Oslo' 3 'train' None None ('Ann', 'Bob') False"),
        ("/go far Oslo 3 --luggage a/b", f"'Oslo' 3 'train' None {Path('a/b')!r} () False"),
        ("/add all", "0"),
        ("/add all 1 2 3", "6"),
        ("/add all --start 100 -- 1 -2", "99"),
        ("/add all 1 -2 -30", "-31"),
        ("/go far Oslo -3 --back-again car -1.5e1", "'Oslo' -3 'car' -15.0 None () True"),
        ("/greet", "Hello everyone."),
        ("/greet Ann and  Bob", "Hello Ann and  Bob."),
        ("/note here I don't smoke", "here: I don't smoke"),
        ("/note here use --help -x", "here: use --help -x"),
        (
            '/note "at home"  She said "no".\n\n    if x -- y: -1 --help',
            'at home: She said "no".\n\n    if x -- y: -1 --help',
        ),
        ('/note here an open " mark', 'here: an open " mark'),
    ],
)
async def test_a_slash_line(acting: Session, line: str, shown: str) -> None:
    assert await say(acting, line) == shown


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/go far", f"Missing argument 'TOWN'. Usage: {usage(go)}"),
        ("/go far Oslo", f"Missing argument 'DAYS'. Usage: {usage(go)}"),
        ("/go far Oslo many", f"Invalid value for 'DAYS': 'many' is not a valid integer. Usage: {usage(go)}"),
        ("/go far Oslo 3 car x", f"Invalid value for '[COST]': 'x' is not a valid float. Usage: {usage(go)}"),
        ("/go far Oslo 3 --speed 5", f"No such option '--speed'. Usage: {usage(go)}"),
        ("/go far Oslo 3 car 1 more", f"Got unexpected extra argument (more). Usage: {usage(go)}"),
        ("/go far --help", usage(go)),
        ("/note here", f"Missing argument 'TEXT...'. Usage: {usage(note)}"),
        ("/add all --start 5", "'5' is not one of '0', '100'"),
        ("/go", "There is no command /go. Did you mean /go far?"),
        ("/gret Ann", "There is no command /gret. Did you mean /greet?"),
        ("/zzzzz", "There is no command /zzzzz. Type /help for what there is."),
        ("/", "There is no command /. Type /help for what there is."),
    ],
)
async def test_a_line_that_does_not_fit(
    acting: Session, capfd: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await say(acting, line)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    # What printed would tear the screen.
    assert capfd.readouterr() == ("", "")


async def test_the_longest_name_is_meant(acting: Session) -> None:
    @action("note all")
    async def everything(session: Session) -> str:
        """Keep it all."""
        return "all of it"

    acting.host.add("more", plugin(actions=lambda: [everything]))
    assert acting.resolve("/note all")[0].name == "note all"
    assert acting.resolve("/note alles gut") == (acting.host.actions["note"], ["alles", "gut"])


def test_a_function_that_is_no_action() -> None:
    async def untyped(session, place) -> None:  # type: ignore[no-untyped-def]
        """Do something."""

    async def silent(session: Session) -> None: ...

    with pytest.raises(PluginError, match=r"^The action 'untyped' gives no type for 'place'\.$"):
        action(untyped)
    with pytest.raises(PluginError, match=r"^The action 'silent' has no docstring; its first line is the help"):
        action(silent)


def test_words_and_similar_names() -> None:
    assert split('a "b c"d ""  e\n f') == ["a", "b cd", "", "e", "f"]
    assert split("don't \"stop") == ["don't", '"stop']
    assert (similar("modles", ["models", "new"]), similar("q", ["models"])) == ("models", None)


def test_the_schema_of_a_tool() -> None:
    schema = arguments_model(go).model_json_schema()
    assert schema["required"] == ["town", "days"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert (properties["town"]["type"], properties["town"]["description"]) == ("string", "Where to")
    assert properties["days"]["type"] == "integer"
    assert properties["how"]["enum"] == ["car", "train"]
    assert [each["type"] for each in properties["cost"]["anyOf"]] == ["number", "null"]
    assert [each.get("format") for each in properties["luggage"]["anyOf"]] == ["path", None]
    assert (properties["friends"]["type"], properties["friends"]["items"]) == ("array", {"type": "string"})
    assert (properties["back_again"]["type"], properties["back_again"]["default"]) == ("boolean", False)


async def test_an_action_that_raises(acting: Session) -> None:
    with pytest.raises(UsageError, match=r"^Not today\.$"):
        await say(acting, "/fail true")
    with pytest.raises(PluginError) as caught:
        await say(acting, "/fail")
    assert str(caught.value).startswith("/fail of the plugin 'acts' failed: ZeroDivisionError: division by zero (")
    with pytest.raises(ChatappError, match="it gave int, which is no text and no event"):
        await say(acting, "/odd")
    assert await say(acting, "/greet") == "Hello everyone."


async def test_progress_goes_through(acting: Session) -> None:
    events = [event async for event in acting.run("/greet Ann")]
    assert events == [Progress("Greeting", 1, 1), Text("Hello Ann.")]


def test_what_the_shell_offers(acting: Session) -> None:
    from chatapp.cli.shell import command_tree

    top = command_tree(acting.host)
    assert {"go", "note", "add", "fail", "odd"} == set(top)
    far = getattr(top["go"], "commands", {})["far"]
    assert [param.name for param in far.params][:3] == ["town", "days", "how"]
    helps = {param.name: getattr(param, "help", None) for param in far.params}
    assert (helps["luggage"], helps["back_again"]) == ("What to take", "Return")
    assert far.help == "Go somewhere.\n\nAnd tell what was seen."


def test_parsed_values_are_typed() -> None:
    values = parse(go, ["Oslo", "3", "car", "2.5", "--luggage", "x", "--no-back-again"])
    assert dict(values) == {
        "town": "Oslo",
        "days": 3,
        "how": "car",
        "cost": 2.5,
        "luggage": Path("x"),
        "friends": (),
        "back_again": False,
    }


def test_an_owner_is_stamped(acting: Session) -> None:
    assert isinstance(acting.host.ui, RecordingUI)
    assert {each.owner for each in acting.host.actions.values()} == {"acts"}
    assert go.owner == ""
    assert isinstance(go, Action)
