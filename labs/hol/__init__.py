"""Head-of-line blocking, seen and measured."""
