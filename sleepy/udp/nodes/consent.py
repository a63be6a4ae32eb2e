"""The program is asked for its consent: who may enter, who may learn where we are.

It is asked in the middle of a handshake, in the loop's callback, and the peer waits for the answer. So the question goes
to a plain function, which answers at once.

Rules:

1. An error of the program's is reported to the loop, and means no.
2. So does an answer that would have to be awaited: like every object, it would pass for a yes. (Functions of which that can
   be seen are refused where they are given: `sleepy.udp.kinds`.)
"""

import asyncio
import inspect
from collections.abc import Callable


def consents(loop: asyncio.AbstractEventLoop, name: str, asked: Callable[[], object], peer: str) -> bool:
    """Whether the program says yes.

    Args:
        loop: Is told of errors.
        name: What the question is called.
        asked: Asks it.
        peer: Whom it is about, for people.
    """
    problem: Exception
    try:
        answer = asked()
    except Exception as error:  # noqa: BLE001  # it may raise anything
        problem = error
    else:
        if not inspect.isawaitable(answer):
            return bool(answer)
        if inspect.iscoroutine(answer):
            answer.close()
        problem = TypeError(f"{name}() cannot wait: make it a plain function, which answers at once")
    loop.call_exception_handler({"message": f"{name}() failed for {peer}, which was refused", "exception": problem})
    return False
