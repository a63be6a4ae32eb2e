"""The handshake of two peers over a network that loses, repeats, delays and forges.

`sleepy.udp.security.noise` says how keys come about when messages arrive; here they may not.
`sleepy.udp.security.handshake_wire` has the datagrams, `sleepy.udp.security.listener` the responder's side of all peers at
once.

Rules:

1. The initiator does all the waiting: it sends its last datagram again, after 0.25 s, 0.5 s, 1 s ..., until the answer
   is there or the time is up. The responder only answers, the same question with the same bytes. So a responder never
   sends unasked, and lost, repeated and reordered datagrams need no thought.
2. Anybody can send us anything, so whatever fails to authenticate changes nothing: the state that could not read it is
   thrown away, the state before goes on, and the true answer may still come. Only what is authentic ends a handshake;
   from those who have no key yet (RETRY, TERMS) it must at least be bound to our HELLO.
3. The versions are compared by the responder: it goes on only in the highest that both speak, and the list it compared
   is in the transcript. So if its REPLY can be read, it saw our list as we sent it, and the version is the best one.
4. Who the peer is is settled by the keys, not by the address: the initiator checks ``expect`` when it can read REPLY and
   before it shows its own key; the responder asks ``accept`` when it can read FINISH.
5. The initiator does not know whether FINISH arrived, nor what was thought of it, so the responder answers with a
   verdict: authentic, or anybody could say "refused". A good verdict shows that the responder has the pre-shared key
   too. Bad news about that very key is told under a key from before it came in; and of one FINISH only, since a FINISH
   damaged on the way looks just like one from outside the group.
6. If both peers dial each other, both are initiators and each gets a HELLO from the address it is calling. The one with
   the lower ephemeral key yields: it falls silent and answers as a responder. Both see the same two keys, so they agree
   without a word. An initiator that has its REPLY does not yield any more: the other has answered, so it has yielded.
"""

from collections.abc import Callable
from hmac import compare_digest
from math import inf
from typing import Final

from sleepy.udp.security.handshake_wire import (
    CONNECTION_ID,
    HEADER,
    NO_COOKIE,
    REPLY_PAYLOAD,
    Code,
    Hello,
    Kind,
    decode_retry,
    decode_terms,
    encode_verdict,
    verdict_code,
)
from sleepy.udp.security.identity import print_key
from sleepy.udp.security.noise import KEY, HandshakeState, InvalidMessage
from sleepy.udp.security.session import (
    HandshakeConfig,
    HandshakeError,
    HandshakeTimeout,
    Refused,
    Session,
    VersionMismatch,
    WrongKey,
    WrongPreSharedKey,
    make_session,
)

FIRST_WAIT: Final = 0.25  # seconds
LONGEST_WAIT: Final = 2.0  # seconds
LABEL: Final = b"sleepy.udp verdict"
PROLOGUE: Final = b"sleepy.udp"


class Initiator:
    """Our side of a handshake that we began.

    The caller sends what `on_time` and `receive` return, to the address it dials; calls `on_time` at once, and again when
    `next_timeout` has come; and looks at `outcome` after every call.

    Args:
        config: What we bring.
        now: The time, in seconds on any monotonic clock.
        timeout: How long to try, in seconds.
        expect: The public key of the peer, if we know whom we call.

    Attributes:
        connection_id: By which the answers find us; 8 bytes.
        expect: See above.
        outcome: The session, or what went wrong; None while it is open.
        ignored: Datagrams that were not what we wait for.
    """

    __slots__ = (
        "_config",
        "_datagram",
        "_deadline",
        "_early_key",
        "_final_key",
        "_hello",
        "_noise",
        "_quiet",
        "_resend_at",
        "_session",
        "_timeout",
        "_tried",
        "_wait",
        "connection_id",
        "expect",
        "ignored",
        "outcome",
    )

    def __init__(
        self, config: HandshakeConfig, *, now: float, timeout: float = 5.0, expect: bytes | None = None
    ) -> None:
        if expect is not None and len(expect) != KEY:
            raise ValueError(f"expect has {len(expect)} bytes; a public key has {KEY}")
        self._config = config
        self._timeout = timeout
        self._deadline = now + timeout
        self._quiet = False
        self._tried: set[int] = set()
        self._session: Session | None = None  # once REPLY is read
        self._early_key = self._final_key = b""
        self.connection_id = config.random_bytes(CONNECTION_ID)
        self.expect = expect
        self.outcome: Session | HandshakeError | None = None
        self.ignored = 0
        self._wait = FIRST_WAIT
        self._begin(max(config.versions), now)

    @property
    def next_timeout(self) -> float:
        """When to call `on_time` again, in seconds; infinity when all is over."""
        if self.outcome is not None:
            return inf
        return self._deadline if self._quiet else min(self._resend_at, self._deadline)

    @property
    def public_key(self) -> bytes | None:
        """Who has answered us, as soon as that is proved: when our FINISH is ready to be sent."""
        return self._session.public_key if self._session is not None else None

    def on_time(self, now: float) -> bytes | None:
        """What to send at ``now``, if anything (rule 1); gives up when the time is over."""
        if now < self.next_timeout:
            return None
        if now >= self._deadline:
            stage = "reply to our HELLO" if self._session is None else "verdict on our FINISH"
            self.outcome = HandshakeTimeout(
                f"no {stage} within {self._timeout:.3g} s: is the peer there, and UDP let through?"
            )
            return None
        self._resend_at = now + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return self._datagram

    def receive(self, datagram: bytes, now: float) -> bytes | None:
        """Take what arrived; returns what to send in answer, if anything. Never raises, whatever the bytes (rule 2)."""
        if not self._take(datagram, now):
            self.ignored += 1
        return self.on_time(now)

    # --8<-- [start:yield]
    def yield_to(self, ephemeral: bytes) -> bool:
        """Decide what to do about a HELLO, its address proved, from the address that we are dialling (rule 6).

        Args:
            ephemeral: The key in that HELLO, 32 bytes.

        Returns:
            True: answer it; we are silent from now on, until `adopt` brings the session or the time is over. False: drop
            it; the peer will answer ours.
        """
        if self.outcome is not None:
            return True
        if self._session is None and self._hello.ephemeral < ephemeral:
            self._quiet = True
        return self._quiet

    # --8<-- [end:yield]

    def adopt(self, session: Session) -> None:
        """Take the session that came of the peer's handshake instead of ours; a wrong peer is none."""
        self._quiet = True
        self.outcome = self._check(session)

    def _begin(self, version: int, now: float) -> None:
        """Begin anew, in another version; nothing of an earlier attempt is used again."""
        config = self._config
        self._tried.add(version)
        hello = Hello(self.connection_id, version, config.versions, config.psk is not None, config.features, b"")
        self._noise = HandshakeState(
            initiator=True,
            static=config.identity.private_key,
            prologue=PROLOGUE + hello.prologue,
            psk=config.psk,
            random_bytes=config.random_bytes,
        )
        self._hello = hello._replace(message=self._noise.write_message())
        self._say(self._hello.encode(), now)

    def _say(self, datagram: bytes, now: float) -> None:
        """From now on this is what we send, until there is an answer."""
        self._datagram = datagram
        self._wait = FIRST_WAIT
        self._resend_at = now

    def _take(self, datagram: bytes, now: float) -> bool:
        """Whether the datagram was of use."""
        if self.outcome is not None or self._quiet or len(datagram) <= HEADER.size:
            return False
        kind, connection_id, version = HEADER.unpack_from(datagram)
        if connection_id != self.connection_id or version != self._hello.version:
            return False
        if self._session is not None:
            return kind == Kind.VERDICT and self._on_verdict(datagram, self._session)
        handler = {Kind.RETRY: self._on_retry, Kind.TERMS: self._on_terms, Kind.REPLY: self._on_reply}.get(kind)
        return handler is not None and handler(datagram, now)

    def _on_retry(self, datagram: bytes, now: float) -> bool:
        cookie = decode_retry(self._hello, datagram)
        if cookie is None:
            return False
        first = self._hello.cookie == NO_COOKIE
        self._hello = self._hello._replace(cookie=cookie)
        self._datagram = self._hello.encode()
        if first:  # at once; if a later one is needed, then by the timer, so that no RETRY can make us send without end
            self._say(self._datagram, now)
        return True

    def _on_terms(self, datagram: bytes, now: float) -> bool:
        terms = decode_terms(self._hello, datagram)
        if terms is None:
            return False
        group, versions = terms
        version = self._config.best_version(versions)
        if group is not self._hello.group:
            who = (
                "the peer has a pre-shared key and we have none"
                if group
                else "we have a pre-shared key, the peer has none"
            )
            self.outcome = WrongPreSharedKey(who)
        elif version is None or version in self._tried:
            ours, theirs = sorted(self._config.versions), sorted(versions)
            self.outcome = VersionMismatch(f"we speak versions {ours}, the peer {theirs}; it accepts none of ours")
        else:
            self._begin(version, now)
        return True

    def _on_reply(self, datagram: bytes, now: float) -> bool:
        noise = self._noise.fork()
        try:
            payload = noise.read_message(datagram[HEADER.size :])
        except InvalidMessage:
            return False
        if len(payload) < REPLY_PAYLOAD.size:
            return False
        remote_id, features = REPLY_PAYLOAD.unpack_from(payload)
        self._early_key = noise.export(LABEL)
        message = noise.write_message(self._config.parameters)
        self._final_key = noise.export(LABEL)
        session = make_session(
            noise,
            initiator=True,
            local_id=self.connection_id,
            remote_id=remote_id,
            version=self._hello.version,
            features=features & self._config.features,
            parameters=payload[REPLY_PAYLOAD.size :],
        )
        checked = self._check(session)
        if isinstance(checked, Session):
            self._session = checked
            self._say(HEADER.pack(Kind.FINISH, remote_id, self._hello.version) + message, now)
        else:
            self.outcome = checked
        return True

    def _on_verdict(self, datagram: bytes, session: Session) -> bool:
        code = verdict_code(datagram)
        if code is None:
            return False
        key = self._early_key if code is Code.WRONG_PRE_SHARED_KEY else self._final_key  # rule 5
        verdict = encode_verdict(self.connection_id, self._hello.version, code, key, self._datagram)
        if not compare_digest(datagram, verdict):
            return False
        peer = print_key(session.public_key)
        if code is Code.WELCOME:
            self.outcome = session
        elif code is Code.REFUSED:
            self.outcome = Refused(f"the peer {peer} does not accept us")
        else:
            self.outcome = WrongPreSharedKey(f"the peer {peer} has another pre-shared key than we")
        return True

    def _check(self, session: Session) -> Session | WrongKey:
        if self.expect is None or self.expect == session.public_key:
            return session
        return WrongKey(f"expected the peer {print_key(self.expect)} and found {print_key(session.public_key)}")


class Responder:
    """Our side of a handshake that a peer began, after its address was proved; `sleepy.udp.security.listener` keeps these.

    Args:
        config: What we bring.
        hello: The HELLO.
        connection_id: By which the peer shall address us; 8 bytes that no other connection of ours has.

    Attributes:
        reply: The REPLY: send it, and again if the HELLO comes again.
        outcome: The session, or that the peer was refused; None while it is open.

    Raises:
        InvalidMessage: The HELLO's key, or the tag on it, is none.
    """

    __slots__ = ("_config", "_finish", "_hello", "_noise", "_verdict", "connection_id", "outcome", "reply")

    def __init__(self, config: HandshakeConfig, hello: Hello, connection_id: bytes) -> None:
        self._config = config
        self._hello = hello
        self._finish = self._verdict = b""
        self._noise: HandshakeState | None = HandshakeState(
            initiator=False,
            static=config.identity.private_key,
            prologue=PROLOGUE + hello.prologue,
            psk=config.psk,
            random_bytes=config.random_bytes,
        )
        self._noise.read_message(hello.message)
        payload = REPLY_PAYLOAD.pack(connection_id, config.features) + config.parameters
        header = HEADER.pack(Kind.REPLY, hello.connection_id, hello.version)
        self.reply = header + self._noise.write_message(payload)
        self.connection_id = connection_id
        self.outcome: Session | Refused | None = None

    def receive(self, datagram: bytes, accept: Callable[[bytes], bool | None]) -> bytes | None:
        """Take a FINISH; returns the VERDICT to send, or None if it is not the peer's, or has to wait.

        Args:
            datagram: The FINISH.
            accept: Is asked whether the peer with this public key may enter. If it says None, or raises something, which
                comes out here, the peer's next try asks again.
        """
        hello = self._hello
        if datagram[: HEADER.size] != HEADER.pack(Kind.FINISH, self.connection_id, hello.version):
            return None
        if self._noise is None:
            return self._verdict if compare_digest(datagram, self._finish) else None
        noise = self._noise.fork()
        try:
            parameters = noise.read_message(datagram[HEADER.size :])
        except InvalidMessage:
            if noise.remote_static is None or self._config.psk is None:
                return None
            # The static key was in order, what came after psk was not (rule 5).
            return self._judge(Code.WRONG_PRE_SHARED_KEY, self._noise, datagram)
        session = make_session(
            noise,
            initiator=False,
            local_id=self.connection_id,
            remote_id=hello.connection_id,
            version=hello.version,
            features=hello.features & self._config.features,
            parameters=parameters,
        )
        welcome = accept(session.public_key)
        if welcome is None:
            return None
        self.outcome = session if welcome else Refused(f"we do not accept the peer {print_key(session.public_key)}")
        self._finish = datagram
        self._verdict = self._judge(Code.WELCOME if welcome else Code.REFUSED, noise, datagram)
        self._noise = None
        return self._verdict

    def _judge(self, code: Code, noise: HandshakeState, finish: bytes) -> bytes:
        return encode_verdict(self._hello.connection_id, self._hello.version, code, noise.export(LABEL), finish)
