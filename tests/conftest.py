"""What holds for every test."""

import signal

from hypothesis import settings

# How long one example takes says more about the machine's other work than about ours; pytest's timeout bounds the whole.
settings.register_profile("sleepy", deadline=None)
settings.load_profile("sleepy")

# A shell has what it starts in the background ignore Ctrl-C, and programs hand that on to those that they start. Some tests
# press Ctrl-C on a program of theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
