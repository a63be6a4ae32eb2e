"""What is made while the site is built, so that nobody has to write the same thing in two places.

- `lessons.hooks.navigation`, a hook of mkdocs: the lessons in the navigation, and ``llms.txt``.
- `lessons.hooks.made`, an extension of Python-Markdown, so that it works under mkdocs and Zensical alike: the tables of the
  tracks, the links from the reference back to the lessons, the map of the curriculum, the tables of correspondence.
"""
