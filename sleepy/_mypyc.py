"""Hints for mypyc, where a module that is compiled would otherwise need a package that only the compiler needs.

mypyc reads them where they are written. When the program runs they do nothing; so nothing has to be imported for them.
This module itself is never compiled.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["mypyc_attr"]

T = TypeVar("T")


def _no_hint(**_hints: object) -> Callable[[T], T]:
    """Leave the class as it is."""
    return lambda decorated: decorated


if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:
    mypyc_attr = _no_hint
