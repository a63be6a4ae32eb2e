"""A conversation with one peer: messages in and out, and what becomes of the conversation itself.

A connection is made when two peers have come together, and lives until one leaves, breaks the rules, or is silent for too
long. It does no I/O and has no clock. Datagrams and the time go in; datagrams, events, and the time at which it wants to be
woken come out. So one and the same connection runs over sockets, in the simulator, and in a test that skips an hour.

Rules:

1. Three calls move it: `Connection.receive` for each datagram, in any number; then `Connection.flush`, which gives all that
   is to be sent now; then a timer for `Connection.next_wakeup`, at which it is flushed again. Whatever a program asks of it
   (send, read, close) takes effect with the next flush. So many small messages share a packet, many packets a system call.
2. No bytes that arrive make it raise. A packet that nobody but the peer can have written, and that breaks the rules, ends
   it.
3. What is queued is bounded, in both directions. A channel that has no room says so, and when it has room again.
4. It ends once, for one reason: the error of the event `Closed`, which all later calls raise. How leaving works is in
   `sleepy.udp.connections.ending`, what silence means in `sleepy.udp.connections.liveness`.
5. The peer may change its address, once it has proved that it is there (`sleepy.udp.path.path_validation`).

Source: the shape is QUIC's (RFC 9000), the packets are reliable.io's, the channels yojimbo's.
"""

from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import (
    APPLICATION_CODES,
    CHANNEL_MISMATCH,
    GOING_AWAY,
    PROTOCOL_ERROR,
    UNREACHABLE,
    ChannelMismatch,
    ClosedLocally,
    ConnectionClosed,
    PeerProtocolError,
    TimedOut,
    WentAway,
)
from sleepy.udp.connections.connection_events import AddressChanged, Established
from sleepy.udp.connections.connection_statistics import ConnectionStatistics, gather
from sleepy.udp.connections.dialogue import Dialogue
from sleepy.udp.connections.greeting import Greeting
from sleepy.udp.connections.liveness import AwakeClock, Heartbeat
from sleepy.udp.connections.packet_exchange import PacketExchange
from sleepy.udp.connections.parameters import Parameters
from sleepy.udp.connections.plain import Envelope, PlainPackets
from sleepy.udp.connections.preface import Preface, write_challenge, write_response
from sleepy.udp.delivery.chunks import CLOSE, Close, ProtocolError
from sleepy.udp.kinds import check_kind
from sleepy.udp.path.path_mtu import BASE
from sleepy.udp.path.path_validation import PathValidation

Batch = tuple[Address, list[bytes]]

CHALLENGE_SIZE: Final = 32  # bytes that a packet with a challenge may have, without its envelope
MOST_PATIENCE: Final = 2.0  # seconds
_CLOSE: Final = bytes([CLOSE])


class Connection(Dialogue):
    """A conversation with one peer.

    Args:
        envelope: What goes round each packet: a `Protection`, or `PlainPackets` for the plain mode.
        address: Where the peer is.
        config: Our options.
        now: The time, in seconds on any monotonic clock.
        peer_parameters: What the peer said of itself in the handshake; None in plain mode.
        rtt: The round trip as the handshake measured it, in seconds; None if it did not.

    Attributes:
        address: Where the peer is now.
        established: Whether the peer is known to be there.
        next_wakeup: When to flush at the latest, in seconds; infinity: never.

    Raises:
        ChannelMismatch: The peer's channels are not ours.
        PeerProtocolError: The peer's parameters cannot be read.
    """

    __slots__ = (
        "_clock",
        "_config",
        "_envelope",
        "_exchange",
        "_greeting",
        "_heartbeat",
        "_paths",
        "_response",
        "address",
        "established",
        "next_wakeup",
    )

    def __init__(
        self,
        envelope: Envelope,
        address: Address,
        config: ConnectionConfig,
        *,
        now: float,
        peer_parameters: bytes | None = None,
        rtt: float | None = None,
    ) -> None:
        self._envelope = envelope
        self._config = config
        self.address = address
        self.next_wakeup = now
        super().__init__(config.channels, config.block_memory)
        self._exchange = PacketExchange(envelope, config, self._messages, now=now, rtt=rtt)
        self._clock = AwakeClock()
        self._heartbeat = Heartbeat(config.keep_alive, config.idle_timeout, now)
        self._paths: PathValidation | None = None  # as soon as the peer seems to be somewhere else
        self._response: tuple[Address, bytes] | None = None  # a challenge to be answered, and where it came from
        self._greeting: Greeting | None = None
        self.established = peer_parameters is not None
        if isinstance(envelope, PlainPackets):
            self._greeting = Greeting(config.parameters(), config.random_bytes, envelope)
        if peer_parameters is not None:
            self._agree(peer_parameters)

    def _agree(self, parameters: bytes) -> None:
        """Compare what we and the peer said of ourselves."""
        ours, theirs = self._config.declared, Parameters.decode(parameters)
        ours.check_channels(theirs)
        self._heartbeat.idle_timeout = min(ours.idle_timeout, theirs.idle_timeout)
        self._exchange.agree(theirs.max_ack_delay, theirs.max_datagram)

    # ---- the network below

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, address: Address, now: float) -> None:
        """Take a datagram that came from ``address`` at ``now`` (seconds)."""
        if self.finished or (self._greeting is not None and not self._greeting.may_read(datagram)):
            return
        time = self._clock.awake(now)
        try:
            arrival = self._exchange.receive(datagram, time)
            if arrival is None:
                self._on_refused(datagram, time)
                return
            payload, preface, newest = arrival
            self._heartbeat.on_heard(time)
            self._news.stale = True
            if preface.size:
                self._on_preface(preface, address, time)
            if self._ending.is_open:
                self._messages.receive(payload)
        except ProtocolError as error:
            broken = PeerProtocolError(f"the peer broke the protocol: {error}")
            self._leave(Close(PROTOCOL_ERROR, str(error)), time, broken)
        except (ChannelMismatch, PeerProtocolError) as unlike:
            code = CHANNEL_MISMATCH if isinstance(unlike, ChannelMismatch) else PROTOCOL_ERROR
            self._leave(Close(code, str(unlike)), time, unlike)
        else:
            if payload[:1] == _CLOSE:
                self._ending.on_peer_close(self._messages.peer_close or Close(0, ""), time, self._patience)
            if newest and (address != self.address or self._paths is not None):
                self._on_address(address, len(datagram), time)

    # --8<-- [end:receive]

    def _on_refused(self, datagram: bytes, time: float) -> None:
        """A datagram was not taken. In some cases that says something."""
        if self._envelope.exhausted:
            reason = "too many forged packets came; connect anew"
            self._leave(Close(GOING_AWAY, reason), time, ClosedLocally(f"we closed the connection: {reason}"))
        elif self._greeting is not None and self._greeting.is_over(datagram):
            self._ending.finish(WentAway("the peer was started anew"))

    def _on_preface(self, preface: Preface, address: Address, time: float) -> None:
        """What a packet says about the connection."""
        if preface.challenge is not None:
            self._response = address, preface.challenge
        if preface.response is not None and self._paths is not None:
            self._on_response(preface.response, self._paths, time)
        greeting = self._greeting
        if preface.hello is not None and greeting is not None:
            if greeting.is_another(preface.hello.nonce):
                self._ending.finish(WentAway("the peer was started anew"))
            elif greeting.peer is None:
                greeting.meet(preface.hello.nonce)
                self._agree(preface.hello.parameters)
                self.established = True
                self._news.add(Established())

    def _on_response(self, nonce: bytes, paths: PathValidation, time: float) -> None:
        """Somebody answers at a new address; if it is the answer, the peer is there now."""
        proved = paths.on_response(nonce, time)
        if proved is not None:
            self.address, rtt = proved
            self._exchange.change_path(rtt)
            self._news.add(AddressChanged(self.address))

    def _on_address(self, address: Address, size: int, time: float) -> None:
        """The newest packet came from ``address``: another one than the peer's, or the peer's after all."""
        if address == self.address:
            self._paths = None
            return
        if self._paths is None:
            self._paths = PathValidation(self._config.random_bytes)
        self._paths.on_packet(address, size, time)

    # --8<-- [start:flush]
    def flush(self, now: float) -> list[Batch]:
        """All that is to be sent at ``now`` (seconds): datagrams in order, by address. Runs what is due."""
        if self.finished:
            self.next_wakeup = inf
            return []
        time = self._clock.awake(now)
        batches = self._flush_paths(time)
        answers = self._exchange.take_answers()
        if self._greeting is not None and self._greeting.question is not None:
            answers.append(self._greeting.question)
            self._greeting.question = None
        datagrams: list[bytes] = []
        later = inf
        if self._ending.is_open:
            if self._heartbeat.is_gone(time):
                silence = self._heartbeat.idle_timeout
                self._ending.finish(TimedOut(f"the peer was silent for {silence} s, though we asked it to speak"))
            elif self._exchange.mtu.narrow_for >= self._heartbeat.idle_timeout:
                self._leave_narrow_path(time)
            else:
                later = self._flush_messages(datagrams, time, now)
        self._flush_ending(datagrams, time)
        if answers or datagrams:
            batches.append((self.address, answers + datagrams))
        self._clock.plan(
            min(later, self._next_timeout()), self._messages.next_expiry() if self._ending.is_open else inf
        )
        self.next_wakeup = self._clock.wanted
        return batches

    # --8<-- [end:flush]

    def _leave_narrow_path(self, time: float) -> None:
        """Waiting longer than for a silent peer is of no use (`sleepy.udp.path.path_mtu`, rule 6). The peer can be told."""
        reason = f"for {self._exchange.mtu.narrow_for:.0f} s the path has not carried {BASE} bytes, as it must"
        self._leave(Close(UNREACHABLE, reason), time, TimedOut(f"the peer could not be reached: {reason}"))

    def _flush_messages(self, datagrams: list[bytes], time: float, now: float) -> float:
        """Fill packets as long as packets may leave; when the next one may, if it has to wait for its time only."""
        exchange, messages = self._exchange, self._messages
        if self._heartbeat.must_ask(time):
            messages.ping()
        probing = exchange.on_timeout(time)
        if probing:
            self._make_probe(now)
        greeting = self._greeting
        if greeting is not None and greeting.due and exchange.may_send(time):
            datagrams.append(exchange.send(greeting.payload, [greeting.token()], time))
        probe = exchange.size_probe(time)  # before the packets that it would wait for
        if probe is not None:
            datagrams.append(probe)
        emptied = False
        while self.established and exchange.may_send(time):
            payload, tokens = messages.fill(exchange.room, now)
            if not payload:
                exchange.on_idle()
                emptied = True
                break
            datagrams.append(exchange.send(payload, tokens, time))
        if probing and (small := exchange.send_small_probe(time)) is not None:
            datagrams.append(small)
        exchange.busy = self.established and (not emptied or len(datagrams) > 1)
        if exchange.ack_is_due(time):
            datagrams.append(exchange.send_ack(time))
        if self._news.wanted:
            self._news.stale = True  # what expired has made room
        waits = not emptied and messages.has_data(now)
        return exchange.next_send() if waits and self.established else inf

    def _make_probe(self, now: float) -> None:
        """Have something to send: a hello that the peer may wait for, what is new, what is longest under way, or a ping."""
        if self._greeting is not None and self._greeting.repeat():
            return
        if not (self.established and self._messages.has_data(now)):
            self._exchange.repeat_oldest()
            if not self._messages.has_data(now):
                self._messages.ping()

    def _flush_ending(self, datagrams: list[bytes], time: float) -> None:
        """Say, or answer, that it is over."""
        ending = self._ending
        payload = ending.speak(time)
        if payload is not None:
            greeting = self._greeting
            if greeting is not None and greeting.repeat():  # without our hello the peer would not read this
                datagrams.append(self._exchange.send(greeting.payload, [greeting.token()], time))
            datagrams.append(self._exchange.send(payload, [ending.token()], time))
        elif ending.answer():
            datagrams.append(self._exchange.send_ack(time))
        ending.on_time(time, delivered=not self._messages.undelivered, patience=self._patience)

    def _flush_paths(self, time: float) -> list[Batch]:
        """Ask at a new address, and answer where we were asked."""
        batches: list[Batch] = []
        if self._response is not None:
            asker, asked = self._response
            self._response = None
            batches.append((asker, [self._exchange.send_unacked(write_response(asked), time)]))
        paths = self._paths
        if paths is not None and (candidate := paths.candidate) is not None:
            nonce = paths.challenge(CHALLENGE_SIZE + self._envelope.overhead, time, self._patience)
            if nonce is not None:
                batches.append((candidate, [self._exchange.send_unacked(write_challenge(nonce), time)]))
        return batches

    def _next_timeout(self) -> float:
        """When there is something to do, by the awake clock."""
        ending = self._ending.next_timeout
        if not self._ending.is_open:
            return ending
        asking = self._paths.next_timeout if self._paths is not None else inf
        return min(ending, self._exchange.next_timeout(), self._heartbeat.next_timeout, asking)

    @property
    def _patience(self) -> float:
        """How long an ack may take, in seconds; bounded, or leaving would take as long as a bad path wants."""
        return min(self._exchange.recovery.round_trip.patience, MOST_PATIENCE)

    # ---- the end

    # --8<-- [start:close]
    def close(self, now: float, code: int = 0, reason: str = "", *, linger: float = 0.0) -> None:
        """Leave, and tell the peer why.

        Args:
            now: The time, in seconds.
            code: For the peer's application, 0 to 65,535.
            reason: For people; cut to 255 bytes.
            linger: How many seconds what is queued may take to arrive before; 0: it is dropped.

        Raises:
            TypeError: The code is no int, or the reason no str.
            ValueError: The code is out of its range.
        """
        check_kind("code", code, int)
        check_kind("reason", reason, str)
        if not 0 <= code < APPLICATION_CODES:
            raise ValueError(f"code is {code}; choose from 0 to {APPLICATION_CODES - 1}")
        self._leave_after(Close(code, reason), now, linger)

    def go_away(self, now: float, *, linger: float = 0.0) -> None:
        """Leave because our node shuts down, as by `close`; the peer's error is `WentAway`."""
        self._leave_after(Close(GOING_AWAY, "the node shuts down"), now, linger)
        self._ending.cut_short(self._clock.awake(now))

    def _leave_after(self, close: Close, now: float, linger: float) -> None:
        time = self._clock.awake(now)
        if linger > 0:
            self._ending.linger(close, time + linger)
        else:
            self._leave(close, time)

    def abort(self, error: ConnectionClosed) -> None:
        """Forget the peer, and say nothing: what it would read, it would not understand."""
        self._ending.finish(error)

    def _leave(self, close: Close, time: float, error: ConnectionClosed | None = None) -> None:
        self._ending.leave(close, time, self._patience, error)

    # --8<-- [end:close]

    def statistics(self) -> ConnectionStatistics:
        """How it is doing."""
        return gather(self._exchange, self._messages, len(self._config.channels))
