"""Messages of the command line's parser about bad options, brought to one line; nothing of the parser itself."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from mvt4g.commands.parsing.class_names import nearest_class
from mvt4g.commands.parsing.trust import denial
from mvt4g.errors import one_line as one_line
from mvt4g.types import InputError

_KEY = re.compile(r'Parser key "(?P<key>[^"]*)":?\s*(?P<rest>.*)')
_ON_THE_WAY = (
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Problem with",
    "Given value",
    "Expected a <class 'NoneType'>",
)
_GIVEN = re.compile(r"(?:Got value|Given value): (.*)")
_NESTED = re.compile(r"NestedArg\(key='[^']*', val=(.*)\)")
_UNKNOWN = re.compile(
    r"(?:Group '(?P<group>[^']*)' does not accept option|does not accept option|Option) '(?P<option>[^']*)'"
    r"|unrecognized arguments: (?P<arguments>.*)"
)
_NO_CLASS = (
    re.compile(r"dot import path string: (?P<given>\S+)$"),
    re.compile(r"module '(?P<module>\S+)' has no attribute '(?P<name>\S+)'$"),
)
"""What the parser says of a class that does not exist."""
_NEAREST = " [nearest: %s]"
_NEAREST_TOLD = re.compile(r" \[nearest: ([^\]]*)\]")
_OBJECTIVE = "objectives: a list of {class_path: mvt4g.losses.%s, init_args: {weight: ..., %s}}"
_CORR = _OBJECTIVE % ("correspondence.CorrespondenceObjective", "layers, gate, steps, loss")
_TRACK = _OBJECTIVE % ("track.TrackObjective", "gate, steps")
MOVED = {
    "correspondence_loss": _CORR,
    "weight_corr": _CORR,
    "corr_gate": _CORR,
    "weight_track": _TRACK,
    "track_gate": _TRACK,
    "optimizer": "training.optimizer (of the tracker: tracker_training.optimizer)",
}
"""What to write instead of an option that earlier versions had, as saved runs may hold it."""
_YAML_ERROR = "Problems parsing config:"


def innermost(message: str) -> str:
    """Return where a nested parser error is at its innermost, and what is wrong there, in one line.

    jsonargparse reports every alternative of every union on the way down, each level indented more.
    """
    _, marker, yaml_error = message.partition(_YAML_ERROR)
    if marker:
        return " ".join(yaml_error.replace('in "<unicode string>", ', "").split())
    keys: list[tuple[int, str]] = []
    found: list[tuple[int, str, str]] = []
    for line in message.splitlines():
        text = line.lstrip(" -")
        depth = len(line) - len(text)
        if named := _KEY.match(text):
            # A key ends those that stand as far in as it does, or farther.
            keys = [(above, key) for above, key in keys if above < depth]
            keys.append((depth, named["key"]))
            text = named["rest"]
        if text and not text.startswith(_ON_THE_WAY):
            where = ".".join(key for above, key in keys if above <= depth)
            found.append((depth, where, text))
    # That a class is not trusted is what to say, however deep another alternative went.
    for _, where, text in found:
        if denied := denial(text):
            return f"{where}: {denied}" if where else denied
    _, where, what = max(found, key=lambda entry: entry[0], default=(0, "", message))
    if option := _UNKNOWN.search(what):
        where = ".".join(filter(None, (where, option["group"])))
        what = _say_unknown(option["option"] or option["arguments"], _NEAREST_TOLD.search(what))
    elif what.startswith("Expected a") and (given := _GIVEN.findall(message)):
        wanted = [text.removeprefix("Expected a ").partition(". Got value")[0] for _, at, text in found if at == where]
        value = _NESTED.sub(r"\1", given[-1])
        what = f"got {value}, want {' or '.join(wanted)}"
    what = _no_class(what) or what
    return f"{where}: {what}" if where else what


def _say_unknown(told: str, nearest: re.Match[str] | None) -> str:
    """Return what to say of an option that does not exist: what took its place, or the nearest name."""
    name = _NEAREST_TOLD.sub("", told).partition(". Got value: ")[0]
    want = "one that exists" if nearest is None else f"perhaps {nearest[1]}"
    for part in re.split(r"[-.=\s]", name):
        want = MOVED.get(part, want)
    return f"got option {name!r}, want {want}"


def with_nearest(message: str, names: Sequence[str]) -> str:
    """Return a parser's message about an option that it does not have, with the nearest name that it has.

    Args:
        message: Any message; one about something else comes back as it is.
        names: Dotted names of the parser's options.
    """
    unknown = _UNKNOWN.search(message)
    if unknown is None or _NEAREST_TOLD.search(message):
        return message
    group = f"{unknown['group']}." if unknown["group"] else ""
    given = (unknown["option"] or unknown["arguments"] or "").lstrip("-")
    written = re.split(r"[=\s]", given, maxsplit=1)[0]
    within = [name.removeprefix(group) for name in names if name.startswith(group)]
    near = get_close_matches(written, within, n=1)
    return message + _NEAREST % near[0] if near else message


def _no_class(message: str) -> str | None:
    """Return what to say of a name that no class has; None of any other message."""
    for form in _NO_CLASS:
        told = form.search(message)
        if told is not None:
            given = ".".join(told.groups())
            # An item of a value is no class that was meant: "got [inf, 0.9], want ... import path string: inf".
            if message.startswith("got ") and not message.startswith((f"got {given},", f"got {given!r},")):
                return None
            near = nearest_class(given)
            want = "the class path of a class" if near is None else f"perhaps {near}"
            return f"got {given}, want {want}"
    return None


@contextmanager
def unwrapped() -> Iterator[None]:
    """Take an error of ours out of jsonargparse's report on every type it tried.

    Raises:
        InputError: As it was raised.
    """
    try:
        yield
    except ValueError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from error
