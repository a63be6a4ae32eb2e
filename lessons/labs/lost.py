"""Which segments of the server's entered the router and never left it?

    python -m lessons.labs.lost out/hol/lost-segment-7

The two captures of a run, compared by what does not change on the way: who sent a segment, and its number in the IP header.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from labs import capture
from labs.capture import Segment


# --8<-- [start:lost]
def lost(folder: Path) -> Iterator[Segment]:
    """What is in right.pcap and not in left.pcap, of what the server sent."""
    left, right = (capture.read(folder / name) for name in ("left.pcap", "right.pcap"))
    arrived = {(segment.source, segment.identification) for segment in left}
    for segment in right:
        from_server = segment.source[1] in range(8001, 8004)
        if segment.payload and from_server and (segment.source, segment.identification) not in arrived:
            yield segment
    # --8<-- [end:lost]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lessons.labs.lost FOLDER, that of a run, such as out/hol/lost-segment-7")
    try:
        found = list(lost(Path(sys.argv[1])))
    except capture.CaptureError as error:
        sys.exit(str(error))
    for one in found:
        print(f"port {one.source[1]}: {len(one.payload)} bytes from {one.sequence} on, at {one.time:.6f}")
