"""Sealed datagrams between two who know each other's public keys.

A handshake costs round trips and leaves state. For a single datagram there is something simpler: the X25519 exchange of our
private key with their public key gives 32 bytes that they can compute from their private key and our public one, and nobody
else can. A cipher under a key made of them keeps a datagram secret, and proves that one of the two wrote it.

What this does not give is why conversations use Noise (`sleepy.udp.security.noise`) instead:

- Nothing ephemeral goes in, so whoever steals one of the private keys reads what was sealed before, too.
- Whoever steals *our* private key can seal datagrams to us in anybody's name.
- A copy of a sealed datagram opens as well as the original. What is sealed must be harmless when it is repeated, or carry
  something fresh of the receiver's.

Rules:

1. Each direction has a key of its own, made of the secret and both public keys in the order sender, receiver. So nothing
   of ours comes back to us as if it were theirs.
2. The *head*, the bytes before the nonce, is readable by all and authenticated with the rest.
3. Nonces are drawn at random: 96 bits, of which two are alike once in 2**48 datagrams. Nobody must remember a counter.

Source: NaCl's ``crypto_box`` (Bernstein, Lange, Schwabe: "The security impact of a new cryptographic library", 2012), with
the algorithms that the handshake uses too (RFC 7748, RFC 8439, RFC 7693).
"""

from hashlib import blake2s
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sleepy.udp.security.identity import Identity
from sleepy.udp.security.noise import TAG, RandomBytes

NONCE: Final = 12
SEAL: Final = NONCE + TAG  # bytes that a sealed datagram is longer than its head and its text
LABEL: Final = b"sleepy.udp sealing"


class Sealer:
    """Seals for one peer, and opens what that peer sealed for us.

    Args:
        identity: Who we are.
        peer: The peer's public key, 32 bytes.
        random_bytes: Where nonces come from.

    Raises:
        ValueError: ``peer`` is no proper public key.
    """

    __slots__ = ("_open", "_random_bytes", "_seal")

    def __init__(self, identity: Identity, peer: bytes, random_bytes: RandomBytes = urandom) -> None:
        try:
            secret = identity.private_key.exchange(X25519PublicKey.from_public_bytes(peer))
        except (
            ValueError
        ):  # it has another size, or its secrets would be zero whatever our key is (RFC 7748, section 6.1)
            raise ValueError(f"{peer.hex()} is no public key of X25519") from None
        ours = identity.public_key
        self._seal = ChaCha20Poly1305(blake2s(LABEL + ours + peer, key=secret).digest())  # rule 1
        self._open = ChaCha20Poly1305(blake2s(LABEL + peer + ours, key=secret).digest())
        self._random_bytes = random_bytes

    # --8<-- [start:seal]
    def seal(self, head: bytes, text: bytes) -> bytes:
        """The datagram: head, nonce, and the text encrypted."""
        nonce = self._random_bytes(NONCE)
        return head + nonce + self._seal.encrypt(nonce, text, head)

    def open(self, head: bytes, sealed: bytes) -> bytes | None:
        """The text of a datagram that began with ``head``, the rest of which is ``sealed``; None if it is not the peer's."""
        if len(sealed) < SEAL:
            return None
        try:
            return self._open.decrypt(sealed[:NONCE], sealed[NONCE:], head)
        except InvalidTag:
            return None

    # --8<-- [end:seal]
