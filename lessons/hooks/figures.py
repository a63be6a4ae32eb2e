"""A hook of mkdocs: plots and tables are drawn from their records before the pages that include them are read."""

import logging

from mkdocs.config.defaults import MkDocsConfig

from lessons import catalogue, drawings

_log = logging.getLogger("mkdocs.hooks.figures")


def on_pre_build(config: MkDocsConfig) -> None:  # noqa: ARG001  mkdocs gives it
    """Called by mkdocs before each build."""
    for path in drawings.draw(catalogue.lessons()):
        _log.info("drawn afresh from its record: %s", path)
