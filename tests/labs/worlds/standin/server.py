"""Answers every byte with a segment of a thousand: just enough to try a world with."""

import socket
import sys
import threading
from pathlib import Path

from labs.meeting import Meeting, MeetingError, meetings

ANSWER = bytes(1000)


def answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while asked := connection.recv(4096):
            for _ in asked:
                connection.sendall(ANSWER)


def welcome(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def serve(meeting: Meeting) -> None:
    for address in meeting.order.listen.values():
        listener = socket.create_server(address)
        threading.Thread(target=welcome, args=(listener,), daemon=True).start()
    meeting.say("server.ready")
    meeting.wait("client.done", patience=120)


if __name__ == "__main__":
    for called in meetings(Path(sys.argv[1])):
        try:
            with called.attend("server"):
                serve(called)
        except MeetingError as error:
            sys.stderr.write(f"server: {error}\n")
