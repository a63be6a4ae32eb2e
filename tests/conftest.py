"""What holds for every test."""

from hypothesis import settings

# How long one example takes says more about the machine's other work than about ours; pytest's timeout bounds the whole.
settings.register_profile("sleepy", deadline=None)
settings.load_profile("sleepy")
