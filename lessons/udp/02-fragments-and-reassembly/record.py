"""How many packets arrive, by how many fragments they have? Recorded beside the lesson and drawn.

Two production endpoints, and a `sleepy.sim.Link` that loses one datagram in ten: each on its own; or, on another link, as
many in bad spells. No time passes, so all is a matter of the seed alone.

    PYTHONPATH=. python lessons/udp/02-fragments-and-reassembly/record.py     record, in a few seconds
    python -m lessons draw
"""
# ruff: noqa: INP001 -- the lesson's folder bears a number, and is no package

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lessons.chart import Chart
from sleepy.sim import Link
from sleepy.sim.link import Burst
from sleepy.udp import Endpoint, EndpointConfig

RUN = Path(__file__).parent / "run/loss"
DATAGRAMS, SIZE, SEED = 96_000, 100, 7  # SIZE: bytes in a fragment
LOSS, SPELL = 0.1, 16  # SPELL: datagrams in a bad spell, on average
FRAGMENTS = (1, 2, 4, 6, 8, 12, 16)
LINKS = {"alone": Link(loss=LOSS), "spells": Link(burst=Burst(LOSS, SPELL))}


def arrived(link: Link, fragments: int) -> dict[str, float]:
    """The shares of datagrams and of packets that arrive, if each packet has so many fragments."""
    config = EndpointConfig(fragment_size=SIZE, fragment_above=SIZE)
    a, b = Endpoint(config, now=0.0), Endpoint(config, now=0.0)
    carrier = link.start(f"{SEED} {fragments}")
    packets = datagrams = 0
    for _ in range(DATAGRAMS // fragments):
        for datagram in a.send(bytes(SIZE * fragments)):
            if carrier.carry(len(datagram), 0.0):
                datagrams += 1
                packets += b.receive(datagram) is not None
    return {
        "fragments": fragments,
        "datagrams": round(datagrams / DATAGRAMS, 4),
        "packets": round(packets / (DATAGRAMS // fragments), 4),
    }


def record() -> None:
    """Run all, and write down what they gave."""
    setting = {"datagrams": DATAGRAMS, "seed": SEED, "loss": LOSS, "spell": SPELL}
    found = {name: [arrived(link, fragments) for fragments in FRAGMENTS] for name, link in LINKS.items()}
    RUN.mkdir(parents=True, exist_ok=True)
    (RUN / "record.json").write_text(json.dumps({"setting": setting} | found, indent=1) + "\n", encoding="utf-8")


def drawn() -> dict[Path, str]:
    """Every file that is made from the record, and what must stand in it."""
    found = json.loads((RUN / "record.json").read_text(encoding="utf-8"))
    return {RUN / "figure.svg": _figure(found)}


def _figure(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    told = "; ".join(
        f"{one['fragments']:g} fragments: {one['packets']:.0%} and {other['packets']:.0%}"
        for one, other in zip(found["alone"], found["spells"], strict=True)
    )
    chart = Chart(f"Packets that arrive, losses alone and in bad spells. {told}.", (0, FRAGMENTS[-1]), (0, 100))
    chart.axes(
        {number: f"{number}" for number in FRAGMENTS},
        {share: f"{share} %" for share in range(0, 101, 20)},
        "fragments in a packet",
        "arrive",
    )
    chance = [(number, 100 * (1 - LOSS) ** number) for number in range(FRAGMENTS[-1] + 1)]
    chart.curve(chance, "muted", "", dashes="2 4")
    for name, part, dashes, mark in (("spells", "held", "6 3", "diamond"), ("alone", "moving", "", "circle")):
        points = [(row["fragments"], 100 * row["packets"]) for row in found[name]]
        chart.curve(points, part, name, dashes=dashes, mark=mark)
    return chart.svg()


if __name__ == "__main__":
    record()
