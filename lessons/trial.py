"""What an exercise's tests talk to: a student's code, behind somebody who remembers what was asked of it.

A failure that says ``assert 5 == 6`` teaches nothing. One that says which call was made, after which others, what it
gave, what was expected, and why, is half a lesson.

Rules:

1. Tests reach the student's code through a `Subject` only. It remembers every call, so a failure can name it.
2. What the code raises is an answer like any other: it becomes the *got* of a `Mismatch`.
3. Time is a number that tests pass, chance comes from a seed: a test gives the same verdict wherever it runs.

A test is a function ``test_...(trial)``, or ``test_...(trial, random)`` if it draws its cases: then it is run once for each
seed. Its docstring says in a line what it proves.
"""

from types import ModuleType
from typing import Any, Self

SHOWN_CALLS = 6
SHOWN_LENGTH = 300  # characters of a value


class Mismatch(Exception):  # it is no error of the program, but a test's verdict
    """A call did not give what it should.

    Attributes:
        call: The call, and those before it.
        got: What it gave, or raised.
        expected: What it should have given.
        why: The reason, in a sentence; may be empty.
    """

    def __init__(self, call: str, got: str, expected: str, why: str = "") -> None:
        super().__init__(f"{call} gave {got}, expected {expected}")
        self.call = call
        self.got = got
        self.expected = expected
        self.why = why


class Subject:
    """A thing of the student's: the module, or an object made from it.

    Args:
        target: The thing itself.
        made: The call that made it; empty for the module.
    """

    def __init__(self, target: Any, made: str = "") -> None:
        self._target = target
        self._calls = [made] if made else []

    def do(self, name: str, *arguments: Any) -> Any:
        """Call a method or function; what it returns.

        Raises:
            Mismatch: It raised something, or is not there.
        """
        return self._call(name, arguments, "no exception")

    def gives(self, name: str, *arguments: Any, expected: object, why: str = "") -> None:
        """Call a method or function, which must return ``expected``.

        Raises:
            Mismatch: It returned something else, or raised something.
        """
        got = self._call(name, arguments, shown(expected), why)
        self.judge(got == expected, got, expected, why)

    def judge(self, right: bool, got: object, expected: object, why: str = "") -> None:
        """Say whether what the last call left behind is right.

        Raises:
            Mismatch: It is not.
        """
        if not right:
            raise Mismatch(self.history(), shown(got), shown(expected), why)

    def new(self, name: str, *arguments: Any) -> "Subject":
        """Make an object of one of the student's classes.

        Raises:
            Mismatch: That raised something.
        """
        return Subject(self._call(name, arguments, f"an object of class {name}"), call_text(name, arguments))

    def history(self) -> str:
        """The last call, and some of those before it."""
        *before, last = self._calls
        if not before:
            return last
        left_out = f"{len(before) - SHOWN_CALLS} more, " if len(before) > SHOWN_CALLS else ""
        return f"{last}   after {left_out}{', '.join(before[-SHOWN_CALLS:])}"

    def _call(self, name: str, arguments: tuple[Any, ...], expected: str, why: str = "") -> Any:
        self._calls.append(call_text(name, arguments))
        try:
            return getattr(self._target, name)(*arguments)
        except (Exception, SystemExit) as error:
            raise Mismatch(self.history(), raised(error), expected, why) from error


class Trial(Subject):
    """The student's module."""

    @classmethod
    def of(cls, module: ModuleType) -> Self:
        """A trial of a module just loaded."""
        return cls(module)

    def history(self) -> str:
        """The last call; functions of a module are asked independently of each other."""
        return self._calls[-1]


class Told(str):
    """A *got* or *expected* in words, to be shown as it is."""

    __slots__ = ()


def shown(value: object) -> str:
    """A value as a failure shows it."""
    text = str(value) if isinstance(value, Told) else repr(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({len(text)} characters)"


def raised(error: BaseException) -> str:
    """What was raised, and in which line of the student's file."""
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "student":
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f" in line {line} of your file" if line else ""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"raised {text[:SHOWN_LENGTH]}{where}"


def call_text(name: str, arguments: tuple[Any, ...]) -> str:
    """A call as one would type it."""
    return f"{name}({', '.join(short(argument) for argument in arguments)})"


def short(value: object) -> str:
    """An argument; long bytes are told by their length."""
    if isinstance(value, bytes) and len(value) > 16:
        return f"<{len(value)} bytes>"
    return shown(value)
