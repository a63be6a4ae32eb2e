"""Fuzz a target with atheris.

    pip install -e ".[fuzz]"
    python -m fuzz endpoint -max_total_time=600     # or http1, which needs the dev extra too

A target is a module here with a function ``run(data)`` that raises when something is wrong. Further arguments are
libFuzzer's. What it finds worth keeping goes into ``fuzz/corpus/TARGET``; the few inputs of it that are committed reach
every branch that any input reached, and are run by the test suite ever after.
"""

import sys
from importlib import import_module
from pathlib import Path

try:
    import atheris
except ModuleNotFoundError:
    sys.exit('python -m fuzz needs atheris: pip install -e ".[fuzz]"')

HERE = Path(__file__).parent
TARGETS = sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def main() -> None:
    """Run the target named on the command line until libFuzzer has enough."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"python -m fuzz TARGET [OPTIONS OF LIBFUZZER]; targets are: {', '.join(TARGETS)}")
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["sleepy", "benchmarks"]):
        target = import_module(f"fuzz.{name}")
    if all(argument.startswith("-") for argument in sys.argv[1:]):
        sys.argv.append(str(HERE / "corpus" / name))
    sys.argv.insert(1, "-max_len=512")  # programs of a hundred steps or so; an option given later wins
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
