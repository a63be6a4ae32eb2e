"""The root of every error that sleepy raises on its own account."""


class SleepyError(Exception):
    """Something went wrong that sleepy has a name for.

    Misuse (an impossible option, a call on a closed client) raises the built-in ``ValueError`` or ``RuntimeError``
    instead: that is for the programmer to mend, not for the program to handle.
    """
