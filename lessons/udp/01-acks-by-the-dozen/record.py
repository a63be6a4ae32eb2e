"""How many packets arrive without their sender ever hearing of it? Recorded beside the lesson and drawn.

Two production endpoints send to each other over two `sleepy.sim.Link`s that lose the same share: *a* at each tick, *b* at
each, or at one tick in eight. Beside the 32 bits it is counted what the ack alone, without the bits, would have said. No
time passes, so all is a matter of the seed alone.

    PYTHONPATH=. python lessons/udp/01-acks-by-the-dozen/record.py     record, in half a minute
    python -m lessons draw
"""
# ruff: noqa: INP001 -- the lesson's folder bears a number, and is no package

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lessons.chart import Chart
from sleepy.sim import Link
from sleepy.udp import Endpoint, PacketHeader

RUN = Path(__file__).parent / "run/unheard"
TICKS, SEED = 20_000, 1
LOSSES = [share / 20 for share in range(20)]
EVERY = {"each": 1, "eighth": 8}  # in how many ticks b speaks once


def unheard(loss: float, every: int) -> dict[str, float]:
    """Of the packets that arrive: the shares that the sender hears nothing of, by the ack alone, and by its bits too."""
    a, b = Endpoint(now=0.0), Endpoint(now=0.0)
    there, back = (Link(loss=loss).start(f"{SEED} {way} {loss} {every}") for way in ("there", "back"))
    arrived, named, acked = 0, set[int](), 0
    for tick in range(TICKS):
        for datagram in a.send(b"x"):
            if there.carry(len(datagram), 0.0):
                arrived += b.receive(datagram) is not None
        if tick % every == every - 1:
            for datagram in b.send(b"y"):
                if back.carry(len(datagram), 0.0):
                    a.receive(datagram)
                    named.add(PacketHeader.decode(datagram)[0].ack)
        acked += len(a.take_acks())
    return {
        "loss": loss,
        "ack": round(1 - len(named) / arrived, 4),
        "bits": round(1 - acked / arrived, 4),
    }


def record() -> None:
    """Run all, and write down what they gave."""
    setting = {"ticks": TICKS, "seed": SEED}
    found = {name: [unheard(loss, every) for loss in LOSSES] for name, every in EVERY.items()}
    RUN.mkdir(parents=True, exist_ok=True)
    (RUN / "record.json").write_text(json.dumps({"setting": setting} | found, indent=1) + "\n", encoding="utf-8")


def drawn() -> dict[Path, str]:
    """Every file that is made from the record, and what must stand in it."""
    found = json.loads((RUN / "record.json").read_text(encoding="utf-8"))
    return {RUN / "figure.svg": _figure(found)}


def _figure(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    told = "; ".join(
        f"at {each['loss']:.0%} loss {each['ack']:.0%}, {eighth['bits']:.0%} and {each['bits']:.0%}"
        for each, eighth in list(zip(found["each"], found["eighth"], strict=True))[::4]
    )
    chart = Chart(
        "Packets that arrived and were never acked: by one ack in each answer, by 32 bits in each eighth answer, "
        f"by 32 bits in each: {told}.",
        (0, 100),
        (0, 100),
    )
    chart.axes(
        {share: f"{share} %" for share in range(0, 101, 20)},
        {share: f"{share} %" for share in range(0, 101, 20)},
        "loss, each way",
        "unheard",
    )
    curves = (
        ("each", "ack", "held", "2 3", "1 ack"),
        ("eighth", "bits", "muted", "6 3", "1 in 8"),
        ("each", "bits", "moving", "", "32 bits"),
    )
    for name, key, part, dashes, label in curves:
        points = [(100 * row["loss"], 100 * row[key]) for row in found[name]]
        chart.curve(points, part, label, dashes=dashes, mark="" if key == "ack" else "circle")
    return chart.svg()


if __name__ == "__main__":
    record()
