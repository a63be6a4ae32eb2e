"""Noise XX: two strangers agree on keys, and each learns for certain who the other is.

A Diffie-Hellman exchange turns two key pairs into one secret: each side combines its private key with the other's public
key, both get the same 32 bytes, and whoever only listened gets nothing. Of each side there are two key pairs: the
*static* one, ``s``, is who somebody is, for years; the *ephemeral* one, ``e``, is made for this conversation and thrown
away after it. Noise says which pairs meet in which message, and ``XX`` is the pattern in which neither side needs to know
the other beforehand::

    -> e                  here is my ephemeral key
    <- e, ee, s, es       here are mine; from now on we are encrypted, and only I can have computed ``es``
    -> s, se              here is my static key, and only I can have computed ``se``

Why three messages, not two? Nobody can prove who he is before he has something fresh of the other's to prove it upon,
or the proof could be a recording. The responder has that after message 1, the initiator after message 2; so it is
message 3 that proves the initiator. In return both static keys travel encrypted.

Rules:

1. Everything goes into the transcript ``h``: the name of the protocol, the *prologue* (what both sides believe they
   agreed on before), every key, every ciphertext. Each ciphertext is authenticated together with ``h``. So whoever
   changes one bit, of any message or of anything the prologue says, makes the next decryption fail.
2. Every shared secret goes into the chaining key ``ck``. All of them must be known to know the keys that come out:
   ``ee`` gives forward secrecy (a static key stolen later opens nothing), ``es`` and ``se`` give identity.
3. A closed group mixes in a *pre-shared key* as well, at the end of message 3 (``XXpsk3``): strangers to the group end
   up with other keys and fail there.
4. A key and a nonce are used together once. Nonces count; the last one, 2**64 - 1, is kept for `CipherState.rekey`.
5. A message that fails spoils the state that read it. Over UDP anybody can send us a message that fails; so a reader
   tries on a `HandshakeState.fork` and keeps that one which succeeded.

Source: The Noise Protocol Framework, revision 34 (Trevor Perrin, 2018): section 5 for the three objects and the names of
their methods, 7.5 for the pattern, 9 for pre-shared keys, 12 for the algorithms. X25519 is RFC 7748, ChaCha20-Poly1305
RFC 8439, BLAKE2s RFC 7693.
"""

import hmac
from collections.abc import Callable
from copy import copy
from hashlib import blake2s
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sleepy.errors import SleepyError

XX: Final = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
XX_PSK3: Final = (*XX[:2], (*XX[2], "psk"))
NAME: Final = b"Noise_XX%s_25519_ChaChaPoly_BLAKE2s"
KEY: Final = 32  # bytes of a private, public, shared or symmetric key, and of a hash
TAG: Final = 16  # bytes by which an encrypted text is longer
MAX_NONCE: Final = 2**64 - 1

RandomBytes = Callable[[int], bytes]


class InvalidMessage(SleepyError):
    """A handshake message that is damaged, forged, or made with another key or another prologue than ours."""


def hkdf(chaining_key: bytes, material: bytes, outputs: int) -> list[bytes]:
    """Derive two or three keys of 32 bytes from a chaining key and new material (Noise, section 4.3)."""
    temporary = hmac.digest(chaining_key, material, "blake2s")
    keys = [b""]
    for number in range(1, outputs + 1):
        keys.append(hmac.digest(temporary, keys[-1] + bytes([number]), "blake2s"))
    return keys[1:]


def nonce_bytes(number: int) -> bytes:
    """The nonce as ChaCha20-Poly1305 wants it: 4 zero bytes and the number, little-endian (Noise, section 12.3)."""
    return b"\0\0\0\0" + number.to_bytes(8, "little")


def rekeyed(key: bytes) -> bytes:
    """The key that follows ``key``; there is no way back (Noise, section 4.2: REKEY)."""
    return ChaCha20Poly1305(key).encrypt(nonce_bytes(MAX_NONCE), bytes(KEY), b"")[:KEY]


class CipherState:
    """A key and the number of times it was used (Noise, section 5.1); without a key, texts pass as they are."""

    __slots__ = ("key", "nonce")

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key
        self.nonce = 0

    def encrypt_with_ad(self, associated: bytes, plaintext: bytes) -> bytes:
        """Encrypt, and authenticate ``associated`` along with it."""
        if self.key is None:
            return plaintext
        ciphertext = ChaCha20Poly1305(self.key).encrypt(nonce_bytes(self.nonce), plaintext, associated)
        self.nonce += 1
        return ciphertext

    def decrypt_with_ad(self, associated: bytes, ciphertext: bytes) -> bytes:
        """Decrypt; a failure does not use up the nonce.

        Raises:
            InvalidMessage: The ciphertext, ``associated`` or the key is not that of the sender.
        """
        if self.key is None:
            return ciphertext
        try:
            plaintext = ChaCha20Poly1305(self.key).decrypt(nonce_bytes(self.nonce), ciphertext, associated)
        except InvalidTag:
            raise InvalidMessage(f"{len(ciphertext)} bytes fail authentication") from None
        self.nonce += 1
        return plaintext

    def rekey(self) -> None:
        """Replace the key by the one that follows from it; the nonce counts on. Without a key there is nothing to do."""
        if self.key is not None:
            self.key = rekeyed(self.key)


# --8<-- [start:symmetric]
class SymmetricState:
    """The chaining key (rule 2) and the transcript (rule 1) as they grow (Noise, section 5.2)."""

    __slots__ = ("chaining_key", "cipher", "transcript")

    def __init__(self, protocol_name: bytes) -> None:
        fits = len(protocol_name) <= KEY
        self.transcript = protocol_name.ljust(KEY, b"\0") if fits else blake2s(protocol_name).digest()
        self.chaining_key = self.transcript
        self.cipher = CipherState()

    def mix_key(self, material: bytes) -> None:
        """Take a shared secret into the chaining key; what follows is encrypted with a key that depends on it."""
        self.chaining_key, key = hkdf(self.chaining_key, material, 2)
        self.cipher = CipherState(key)

    def mix_hash(self, data: bytes) -> None:
        """Take ``data`` into the transcript."""
        self.transcript = blake2s(self.transcript + data).digest()

    def mix_key_and_hash(self, material: bytes) -> None:
        """Take a pre-shared key into both (rule 3)."""
        self.chaining_key, data, key = hkdf(self.chaining_key, material, 3)
        self.mix_hash(data)
        self.cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Encrypt, bound to all that was said before."""
        ciphertext = self.cipher.encrypt_with_ad(self.transcript, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """Decrypt what the peer encrypted, if all that was said before is the same for both.

        Raises:
            InvalidMessage: It is not.
        """
        plaintext = self.cipher.decrypt_with_ad(self.transcript, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers of the conversation: what the initiator sends with, and what the responder sends with."""
        first, second = hkdf(self.chaining_key, b"", 2)
        return CipherState(first), CipherState(second)


# --8<-- [end:symmetric]


class HandshakeState:
    """One side of a handshake in the pattern XX (Noise, section 5.3); write and read take turns.

    Args:
        initiator: Whether we send the first message.
        static: Our static private key.
        prologue: What both sides must agree on for the handshake to succeed (rule 1).
        psk: The pre-shared key of a closed group, 32 bytes (rule 3).
        random_bytes: Where the ephemeral key comes from.

    Attributes:
        messages: Number of messages written and read; 3 when the handshake is done.
        symmetric: What both sides have in common so far.
    """

    __slots__ = ("_initiator", "_ours", "_pattern", "_psk", "_random_bytes", "_theirs", "messages", "symmetric")

    def __init__(
        self,
        *,
        initiator: bool,
        static: X25519PrivateKey,
        prologue: bytes = b"",
        psk: bytes | None = None,
        random_bytes: RandomBytes = urandom,
    ) -> None:
        if psk is not None and len(psk) != KEY:
            raise ValueError(
                f"the pre-shared key has {len(psk)} bytes; it must have {KEY} (hash a passphrase with scrypt)"
            )
        self._initiator = initiator
        self._ours = {"s": static}
        self._theirs: dict[str, bytes] = {}
        self._psk = psk or b""
        self._pattern = XX if psk is None else XX_PSK3
        self._random_bytes = random_bytes
        self.symmetric = SymmetricState(NAME % (b"" if psk is None else b"psk3"))
        self.symmetric.mix_hash(prologue)
        self.messages = 0

    def fork(self) -> "HandshakeState":
        """A copy that goes its own way (rule 5)."""
        other = copy(self)
        other._ours, other._theirs = self._ours.copy(), self._theirs.copy()  # noqa: SLF001 - one of us
        other.symmetric = copy(self.symmetric)
        other.symmetric.cipher = copy(self.symmetric.cipher)
        return other

    @property
    def remote_static(self) -> bytes | None:
        """The peer's public key, once it is decrypted; proved when the whole message it came in was read."""
        return self._theirs.get("s")

    @property
    def transcript(self) -> bytes:
        """The hash of all that was said so far; at the end the same for both sides, and for no other two."""
        return self.symmetric.transcript

    def write_message(self, payload: bytes = b"") -> bytes:
        """Make our next message.

        Raises:
            RuntimeError: It is the peer's turn, or the handshake is done.
        """
        symmetric = self.symmetric
        parts: list[bytes] = []
        for token in self._turn(self._initiator):
            if token == "e":
                self._ours["e"] = X25519PrivateKey.from_private_bytes(self._random_bytes(KEY))
                parts.append(self._ours["e"].public_key().public_bytes_raw())
                self._mix_ephemeral(parts[-1])
            elif token == "s":
                parts.append(symmetric.encrypt_and_hash(self._ours["s"].public_key().public_bytes_raw()))
            else:
                self._mix_secret(token)
        parts.append(symmetric.encrypt_and_hash(payload))
        self.messages += 1
        return b"".join(parts)

    def read_message(self, message: bytes) -> bytes:
        """Read the peer's next message; returns its payload.

        Raises:
            InvalidMessage: It is not what the peer sent, or the two of us disagree. This state is spoilt then (rule 5).
            RuntimeError: It is our turn, or the handshake is done.
        """
        symmetric = self.symmetric
        position = 0
        for token in self._turn(not self._initiator):
            if token in {"e", "s"}:
                length = KEY if symmetric.cipher.key is None or token == "e" else KEY + TAG
                part = message[position : position + length]
                position += length
                if len(part) < length:
                    raise InvalidMessage(f"the message has {len(message)} bytes, too few to hold the key {token}")
                if token == "e":
                    self._theirs["e"] = part
                    self._mix_ephemeral(part)
                else:
                    self._theirs["s"] = symmetric.decrypt_and_hash(part)
            else:
                self._mix_secret(token)
        payload = symmetric.decrypt_and_hash(message[position:])
        self.messages += 1
        return payload

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers of the conversation: what we send with, and what we receive with.

        Raises:
            RuntimeError: The handshake is not done.
        """
        if self.messages < len(self._pattern):
            raise RuntimeError(f"the handshake has seen {self.messages} of {len(self._pattern)} messages")
        first, second = self.symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def export(self, label: bytes) -> bytes:
        """A secret for a purpose of its own, known to whoever can come as far in this handshake.

        Noise defines no such keys. This is the first step of HKDF over the chaining key; Noise takes that step only with
        material of 0 or 32 bytes, so a label of another length meets none of its keys.
        """
        return hmac.digest(self.symmetric.chaining_key, label, "blake2s")

    def _turn(self, ours: bool) -> tuple[str, ...]:
        if self.messages == len(self._pattern):
            raise RuntimeError("the handshake is done: it has no further message")
        if ours is not (self.messages % 2 == 0):
            raise RuntimeError(f"message {self.messages + 1} of the handshake is for the other side to write")
        return self._pattern[self.messages]

    def _mix_ephemeral(self, public: bytes) -> None:
        self.symmetric.mix_hash(public)
        if self._psk:  # Noise, section 9.2: or two handshakes with one psk might use one key twice
            self.symmetric.mix_key(public)

    def _mix_secret(self, token: str) -> None:
        if token == "psk":
            self.symmetric.mix_key_and_hash(self._psk)
            return
        # A token names the initiator's key first: for "es" we bring e if we are the initiator, s if we are not.
        ours, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        try:
            secret = self._ours[ours].exchange(X25519PublicKey.from_public_bytes(self._theirs[theirs]))
        except ValueError:  # a point of low order: the secret would be zero whatever our key is (RFC 7748, section 6.1)
            raise InvalidMessage(f"the peer's key in {token} is no proper public key") from None
        self.symmetric.mix_key(secret)
