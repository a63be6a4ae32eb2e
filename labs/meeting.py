"""Where the parts of a lab meet: a folder.

Server, router and client are processes of their own, in other namespaces or other containers; all they share is a
folder, and that is enough. Whoever has something to say leaves a file there:

    base/
      leash              locked by the convener for as long as it lives
      over               no further runs: go home
      1/                 one run; the next is 2/
        order.json       what to do (`Order`), from the convener
        router.ready     JSON: what was set up; so too server.ready
        client.done      JSON: the client has finished; the router stops its captures and says router.done
        <role>.failed    text: why that role gave up

Rules:

1. A file appears whole or not at all: it is written under another name, then renamed.
2. Nobody waits for ever: every wait has a deadline, and ends at once when any role has failed.
3. The leash. The kernel lets go of a dead process's locks, even after ``kill -9``. A role that finds the leash free
   knows that its convener is dead, and goes. Nothing needs to be cleaned up by somebody who is no longer there. A role
   may be too busy to look; so a thread looks on its behalf, and ends the process if it has not gone by itself.

What a run leaves (captures, events) is written into its folder too; the world carries it out.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from labs.scenario import Scenario
from sleepy.sim import Link

if sys.platform != "win32":  # it has no such locks; there nobody meets, and the sim world needs only `Order`
    import fcntl

ROLES = ("server", "router", "client")
POLL = 0.02  # seconds between two looks at the folder
_GRACE = 0.5  # seconds in which a role should have noticed that the leash is free


class MeetingError(Exception):
    """The run cannot go on; the message says why."""


class RoleFailedError(MeetingError):
    """A role gave up; the message is its own."""


class AbandonedError(MeetingError):
    """The convener is dead (rule 3) or has called it a day."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the roles are to do, complete: they read no scenario of their own and so cannot disagree.

    Attributes:
        scenario: What is to be played; without impairment if there is to be none.
        seed: What the run's choices are drawn from.
        impairment: What bends the link: ``netem``, ``nfqueue``, ``relay`` or ``off``.
        package: Where the lab's programs are: its modules ``server`` and ``client``.
        ports: The server's port for each contender, as the captures show it.
        listen: Where the server listens for each contender, (host, port).
        dial: Where the client connects to for each contender, (host, port): the same, unless a relay stands between.
        left: The router's address on the client's side; names its interface.
        right: The router's address on the server's side.
    """

    scenario: Scenario
    seed: int
    impairment: str
    package: str
    ports: Mapping[str, int]
    listen: Mapping[str, tuple[str, int]]
    dial: Mapping[str, tuple[str, int]]
    left: str
    right: str

    def to_json(self) -> str:
        """The order as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read one back."""
        raw: dict[str, Any] = json.loads(text)
        scenario: dict[str, Any] = raw["scenario"]
        for way in ("to_server", "to_client"):
            scenario[way] = Link(**scenario[way])
        raw["scenario"] = Scenario(**scenario)
        for name in ("listen", "dial"):
            raw[name] = {contender: (str(host), int(port)) for contender, (host, port) in raw[name].items()}
        return cls(**raw)


class Meeting:
    """One run, as a role or the convener sees it.

    Args:
        folder: The run's folder, ``base/1`` and so on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def order(self) -> Order:
        """What is to be done."""
        return Order.from_json((self.folder / "order.json").read_text(encoding="utf-8"))

    def say(self, word: str, **facts: object) -> None:
        """Leave a word such as ``router.ready`` for the others, with what they should know."""
        _write(self.folder / word, json.dumps(facts))

    def fail(self, role: str, why: str) -> None:
        """Tell the others that ``role`` gives up."""
        _write(self.folder / f"{role}.failed", why)

    def heard(self, word: str) -> dict[str, Any] | None:
        """What was said, or None if it was not said yet: for roles that have something else to do meanwhile.

        Raises:
            RoleFailedError: Some role gave up (rule 2).
            AbandonedError: There is nobody left to do it for (rule 3).
        """
        try:
            facts: dict[str, Any] = json.loads((self.folder / word).read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._still_worth_it()
            return None
        return facts

    def wait(self, word: str, patience: float) -> dict[str, Any]:
        """Wait up to ``patience`` seconds for a word.

        Raises:
            MeetingError: It was not said in time, some role gave up, or the convener is dead.
        """
        deadline = time.monotonic() + patience
        while (facts := self.heard(word)) is None:
            if time.monotonic() > deadline:
                raise MeetingError(f"waited {patience:.0f} s in vain for {word} in {self.folder}")
            time.sleep(POLL)
        return facts

    @contextmanager
    def attend(self, role: str) -> Generator[Self, None, None]:
        """A role's part of the run: what goes wrong in it is told to the others, and it does not outlive its convener."""
        try:
            with _leashed(self.folder.parent):
                yield self
        except MeetingError:
            raise  # the others know already, or are gone
        except BaseException as error:
            self.fail(role, f"{error}" or type(error).__name__)
            raise

    def _still_worth_it(self) -> None:
        for role in ROLES:
            failed = self.folder / f"{role}.failed"
            if failed.exists():
                raise RoleFailedError(f"the {role} gave up: {failed.read_text(encoding='utf-8')}")
        if _abandoned(self.folder.parent):
            raise AbandonedError("whoever called this run is gone")


def meetings(base: Path) -> Iterator[Meeting]:
    """A role's working life: every run called under ``base``, one after the other, until there are no more."""
    number = 1
    while not (base / "over").exists() and not _abandoned(base):
        folder = base / str(number)
        if (folder / "order.json").exists():
            number += 1
            yield Meeting(folder)
        else:
            time.sleep(POLL)


class Convener:
    """Whoever calls the runs: makes the folder, holds the leash, and clears the folder away afterwards.

    Args:
        base: The folder to meet in; what a dead convener left there is removed.

    Raises:
        MeetingError: Another convener is at work there.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self._runs = 0
        base.mkdir(parents=True, exist_ok=True)
        if (base / "leash").exists() and not _abandoned(base):
            raise MeetingError(f"another run is at work in {base}")
        _clear(base)
        self._leash = (base / f".leash.{os.getpid()}").open("x")
        fcntl.flock(self._leash, fcntl.LOCK_EX)  # before anybody can see it, lest a role find it free
        Path(self._leash.name).rename(base / "leash")

    def call(self, order: Order) -> Meeting:
        """Begin the next run."""
        self._runs += 1
        folder = self.base / str(self._runs)
        folder.mkdir()
        _write(folder / "order.json", order.to_json())
        return Meeting(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _write(self.base / "over", "")
        self._leash.close()


def _abandoned(base: Path) -> bool:
    """Whether the leash is free. A shared lock, so that roles that look at the same time do not see each other."""
    try:
        with (base / "leash").open() as leash:
            fcntl.flock(leash, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False  # the convener has not begun yet
    except BlockingIOError:
        return False
    return True


@contextmanager
def _leashed(base: Path) -> Generator[None, None, None]:
    """End this process if the leash comes free and the context is not left soon after (rule 3)."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_GRACE):
            if _abandoned(base) and not left.wait(_GRACE):
                os._exit(1)

    threading.Thread(target=watch, name="leash", daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _clear(base: Path) -> None:
    for entry in base.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write(path: Path, text: str) -> None:
    """Write it whole or not at all (rule 1)."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.rename(path)
