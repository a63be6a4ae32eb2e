"""What peers tell each other: messages on channels, blocks, and how they share packets."""
