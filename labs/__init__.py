"""Experiments on real networks that show the lessons to be true: ``python -m labs list``."""
