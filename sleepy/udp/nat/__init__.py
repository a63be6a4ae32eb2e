"""Peers behind NATs: how they find each other, punch holes, and help with a relay."""
