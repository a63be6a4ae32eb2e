"""What a program gives is looked at where it is given.

Python takes a ``str`` for a key, a ``float`` for a number of bytes, an object for its class, until somebody computes with
it. Here that would be in the event loop's callback, a handshake or a packet later: there the error meets nobody who could
mend it, and it ends the packets of all peers. So whoever keeps something for later asks at once of what kind it is.

The value itself is not told: it may be a key.
"""

import inspect


def check_kind(what: str, value: object, *kinds: type) -> None:
    """See that something is of one of these kinds.

    Args:
        what: What it is called.
        value: It.
        kinds: Which kinds will do.

    Raises:
        TypeError: It is of none of them; the message says what it is.
    """
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        which = f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
        raise TypeError(f"{what} is {which}; it must be {names}")


def check_callable(what: str, value: object, *, optional: bool = False) -> None:
    """The same of what will be called, in the middle of something; None will do if it is optional.

    Raises:
        TypeError: It cannot be called; or its answer would have to be awaited: its coroutine, like every object, would pass
            for a yes.
    """
    if not callable(value) and not (optional and value is None):
        raise TypeError(f"{what} is of type {type(value).__name__}, and will be called; give a function, or a class")
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{what} will not be awaited: give a plain function, which answers at once")
