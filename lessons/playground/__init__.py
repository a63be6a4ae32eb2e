"""Diagrams to play with: a lesson's scenario drives production objects, step by step, and says what is to be drawn.

A lesson brings one file, ``lessons/<track>/<nn>-<slug>/playground.py``, with a class ``Playground`` that derives from
`Scenario`, and includes the picture that is drawn from it. It brings no JavaScript and no drawing of its own.

Rules:

1. The objects on show are those of `sleepy`, at work. A scenario moves bytes and time between them and looks at them.
2. Chance comes from the seed, time from the scenario. So the same settings and the same actions give the same views in
   CPython and in the page, and a test holds the one against the other.
3. A *step* lets exactly one thing happen: a packet sent, arrived, lost. What happened is told in a sentence. Where whole
   programs run, on a simulated network (`World`), it lets one instant happen.
4. A view has parts of four kinds: `Lanes`, `Cells`, `Lives`, `Table`. Each says in words whatever it shows in colour.
5. One program draws: `drawing` makes the still picture for pages without scripts, and each step's picture in the page.

Everything here but ``__main__`` and ``assets`` runs in the page, and needs nothing but `sleepy` and the standard library.

    python -m lessons.playground draw     the still pictures, committed beside each scenario
    python -m lessons.playground assets   what the page needs to run them: Pyodide, and the sources
"""

from lessons.playground.air import Air, Flight
from lessons.playground.scenario import Button, Scenario, Settings, Slider, Switch
from lessons.playground.traffic import Traffic, Words
from lessons.playground.view import Cell, Cells, Lanes, Life, Lives, Packet, Row, Stretch, Table, View
from lessons.playground.world import World

__all__ = [
    "Air",
    "Button",
    "Cell",
    "Cells",
    "Flight",
    "Lanes",
    "Life",
    "Lives",
    "Packet",
    "Row",
    "Scenario",
    "Settings",
    "Slider",
    "Stretch",
    "Switch",
    "Table",
    "Traffic",
    "View",
    "Words",
    "World",
]
