"""What every test over real sockets is held to."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sleepy.tcp.helpers import turns


@pytest.fixture
async def tidy() -> AsyncIterator[None]:
    """In debug mode: no error that nobody hears, no task left behind, no socket unclosed (a ResourceWarning is an error)."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 60.0  # how long things take is the machine's business
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    before = asyncio.all_tasks()
    yield
    await turns()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    gc.collect()
    assert not unheard
    assert not left
