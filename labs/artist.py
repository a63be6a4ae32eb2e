"""Reports drawn by a process of their own, while the lab goes on.

In virtual time a lab takes less time than the drawing of its report, most of which is spent on loading Matplotlib. So where
the lab is as quick as that, a second process gets ready to draw when the first begins to play, and draws the report of one
scenario while the next is played. In real worlds there is nothing to gain, and something to lose: a lab may give up rights
before it writes its results, and a process that was started before would still have them.

The second process is told of folders on its standard input, a line for each, and ends when there are no more: also when the
first is killed, so that it is never left behind.
"""

import json
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self


class Artist:
    """Draws reports; a context manager, at whose end they are all there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0

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
        self._asked += 1
        self._process.stdin.write(f"{json.dumps(str(folder.absolute()))}\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """Wait until everything is drawn.

        Raises:
            RuntimeError: Something could not be drawn; the process has said why.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        drawn, _ = process.communicate()
        if process.returncode or len(drawn.splitlines()) != self._asked:
            raise RuntimeError(f"a report could not be drawn (exit code {process.returncode}); what is above says why")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        elif self._process is not None:
            self._process.kill()
            self._process.communicate()


def draw(folder: Path) -> None:
    """Write the report of a run, in this process. See `labs.report.write`."""
    import_module("labs.report").write(folder)  # loaded when it is needed: it brings Matplotlib with it


def main() -> None:
    """Draw what standard input names; say so on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the first process, which then ends this one
    import_module("labs.report")
    for line in sys.stdin:
        draw(Path(json.loads(line)))
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
