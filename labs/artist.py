"""Reports drawn by a process of their own, while the lab goes on.

In virtual time a lab takes less time than the drawing of its report, most of which is spent on loading Matplotlib. So where
the lab is as quick as that, a second process gets ready to draw when the first begins to play, and draws the report of one
scenario while the next is played. In real worlds there is nothing to gain, and something to lose: a lab may give up rights
before it writes its results, and a process that was started before would still have them.

The second process is told of folders on its standard input, a line for each, and says on its standard output which are done.
It ends when there are no more: also when the first is killed, so that it is never left behind. It says nothing of errors:
what it left undone, the first does itself, so that an error is raised where it would be without a second process.
"""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self


class Artist:
    """Draws reports; a context manager, at whose end they are all there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked: list[Path] = []

    def get_ready(self) -> None:
        """Start the process, unless it runs, or none can be had here."""
        if self._process is None:
            command = [sys.executable, "-m", "labs.artist"]
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            except OSError:
                return  # then we draw ourselves

    def draw(self, folder: Path) -> None:
        """Write the report of a run: soon, if the process is there; else now. See `labs.report.write`."""
        if self._process is None:
            draw(folder)
            return
        assert self._process.stdin is not None  # noqa: S101 -- it is a pipe
        self._asked.append(folder)
        with suppress(BrokenPipeError):  # the process has ended: this one is left to `finish`
            self._process.stdin.write(f"{json.dumps(str(folder.absolute()))}\n")
            self._process.stdin.flush()

    def finish(self) -> None:
        """Wait until everything is drawn. What the process could not draw is drawn here; see `labs.report.write`."""
        if self._process is None:
            return
        drawn, _ = self._process.communicate()
        left, self._asked, self._process = self._asked[len(drawn.splitlines()) :], [], None
        for folder in left:
            draw(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None or issubclass(kind, Exception):  # a scenario that broke takes no other's report with it
                self.finish()
        finally:
            if self._process is not None:  # we were interrupted, perhaps while we waited
                self._process.kill()
                self._process.communicate()


def draw(folder: Path) -> None:
    """Write the report of a run, in this process. See `labs.report.write`."""
    import_module("labs.report").write(folder)  # loaded when it is needed: it brings Matplotlib with it


def main() -> None:
    """Draw what standard input names; say so on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the first process, which then ends this one
    with suppress(Exception):  # the first process meets it too
        import_module("labs.report")
        for line in sys.stdin:
            draw(Path(json.loads(line)))
            print(line, end="", flush=True)


if __name__ == "__main__":
    main()
