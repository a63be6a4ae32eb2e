"""Every input that fuzzing once found worth keeping is run again."""

from pathlib import Path

import pytest

from fuzz.endpoint import run

CORPUS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus" / "endpoint").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_kept_input_finds_nothing(path: Path) -> None:
    run(path.read_bytes())


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) > 5
