"""Sends a byte every so often to each port in turn, and reads all the answers: just enough to try a world with."""

import json
import socket
import sys
import threading
import time
from pathlib import Path

from labs.meeting import Meeting, MeetingError, meetings
from sleepy.trace import Trace
from tests.labs.worlds.standin.server import ANSWER


def ask(connection: socket.socket, requests: int, interval: float) -> None:
    for _ in range(requests):
        connection.send(b"?")
        time.sleep(interval)


def work(meeting: Meeting) -> None:
    order = meeting.order
    requests, interval = order.scenario.figures["requests"], order.scenario.figures["interval"]
    for role in ("server", "router"):
        meeting.wait(f"{role}.ready", patience=30)
    with (meeting.folder / "events-client.jsonl").open("w") as events:
        trace = Trace("client", time.time, lambda event: events.write(event.to_json() + "\n"))
        for number, (contender, address) in enumerate(order.dial.items()):
            trace("lab.phase", phase=contender)
            with socket.create_connection(address, timeout=30) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                asker = threading.Thread(target=ask, args=(connection, requests, interval))
                asker.start()
                left = requests * len(ANSWER)
                while left and (data := connection.recv(1 << 16)):
                    left -= len(data)
                asker.join()
            sys.stdout.write(json.dumps({"done": number + 1, "of": len(order.dial), "phase": contender}) + "\n")
            sys.stdout.flush()
    meeting.say("client.done")


if __name__ == "__main__":
    for called in meetings(Path(sys.argv[1])):
        try:
            with called.attend("client"):
                work(called)
        except MeetingError as error:
            sys.stderr.write(f"client: {error}\n")
