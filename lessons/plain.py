"""Lists and mappings among what was read from YAML: told apart for people, and for both type checkers."""

from typing import Any, TypeGuard


def is_list(given: object) -> TypeGuard[list[Any]]:
    """Whether it is a list."""
    return isinstance(given, list)


def is_mapping(given: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is a mapping; its keys are taken for words."""
    return isinstance(given, dict)
