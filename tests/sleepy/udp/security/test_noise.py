"""The rules of sleepy/udp/security/noise.py, the published vectors, and another implementation side by side."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, data, integers, lists, none
from noise.connection import Keypair, NoiseConnection

from sleepy.udp.security.noise import KEY, CipherState, HandshakeState, InvalidMessage

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "noise" / "xx.json").read_text(encoding="utf-8"))[
    "vectors"
]
private = X25519PrivateKey.from_private_bytes
keys = binary(min_size=KEY, max_size=KEY)
psks = none() | keys


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def pair(psk: bytes | None = None, prologue: bytes = b"") -> tuple[HandshakeState, HandshakeState]:
    """An initiator and a responder who agree."""
    return (
        HandshakeState(initiator=True, static=private(b"i" * KEY), psk=psk, prologue=prologue, random_bytes=seeded(1)),
        HandshakeState(initiator=False, static=private(b"r" * KEY), psk=psk, prologue=prologue, random_bytes=seeded(2)),
    )


def turns(initiator: Any, responder: Any) -> Iterator[tuple[Any, Any]]:
    """Who writes and who reads, message by message."""
    yield from ((initiator, responder), (responder, initiator), (initiator, responder))


def shake(initiator: HandshakeState, responder: HandshakeState) -> None:
    for writer, reader in turns(initiator, responder):
        reader.read_message(writer.write_message())


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['source'].split()[0]}-{v['protocol_name']}" for v in VECTORS])
def test_the_published_vectors(vector: dict[str, Any]) -> None:
    """Byte for byte: three handshake messages, what both sides know after them, and messages encrypted then."""
    sides = []
    for side in ("init", "resp"):
        ephemeral = bytes.fromhex(vector[f"{side}_ephemeral"])
        [psk] = vector.get(f"{side}_psks") or [None]
        sides.append(
            HandshakeState(
                initiator=side == "init",
                static=private(bytes.fromhex(vector[f"{side}_static"])),
                prologue=bytes.fromhex(vector[f"{side}_prologue"]),
                psk=psk and bytes.fromhex(psk),
                random_bytes=lambda size, ephemeral=ephemeral: ephemeral[:size],
            )
        )
    initiator, responder = sides
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    for (writer, reader), (payload, message) in zip(turns(initiator, responder), messages[:3], strict=True):
        assert writer.write_message(payload) == message
        assert reader.read_message(message) == payload
    assert initiator.transcript == responder.transcript
    if "handshake_hash" in vector:
        assert initiator.transcript.hex() == vector["handshake_hash"]
    to_responder, from_responder = initiator.split()
    to_initiator, from_initiator = responder.split()
    for number, (payload, message) in enumerate(messages[3:]):  # the vectors go on in turns
        sends, receives = ((to_initiator, from_responder), (to_responder, from_initiator))[number % 2]
        assert sends.encrypt_with_ad(b"", payload) == message
        assert receives.decrypt_with_ad(b"", message) == payload


def oracle(*, initiator: bool, static: bytes, ephemeral: bytes, prologue: bytes, psk: bytes | None) -> NoiseConnection:
    """The same side, played by noiseprotocol."""
    name = "XX" if psk is None else "XXpsk3"
    noise = NoiseConnection.from_name(f"Noise_{name}_25519_ChaChaPoly_BLAKE2s".encode())
    noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    noise.set_prologue(prologue)
    if psk is not None:
        noise.set_psks(psk)
    (noise.set_as_initiator if initiator else noise.set_as_responder)()
    with pytest.warns(UserWarning, match="OK for testing"):  # it dislikes ephemeral keys that are not its own
        noise.start_handshake()
    return noise


@settings(max_examples=60)
@given(
    statics=lists(keys, min_size=2, max_size=2),
    ephemerals=lists(keys, min_size=2, max_size=2),
    prologue=binary(max_size=100),
    psk=psks,
    payloads=lists(binary(max_size=300), min_size=3, max_size=3),
    talk=lists(binary(max_size=100), max_size=4),
    we_initiate=booleans(),
)
def test_another_implementation_side_by_side(
    statics: list[bytes],
    ephemerals: list[bytes],
    prologue: bytes,
    psk: bytes | None,
    payloads: list[bytes],
    talk: list[bytes],
    we_initiate: bool,
) -> None:
    """In either role we and noiseprotocol understand each other, in the handshake and after it, through a rekey too."""
    ours = HandshakeState(
        initiator=we_initiate,
        static=private(statics[0]),
        prologue=prologue,
        psk=psk,
        random_bytes=lambda size: ephemerals[0][:size],
    )
    theirs = oracle(initiator=not we_initiate, static=statics[1], ephemeral=ephemerals[1], prologue=prologue, psk=psk)
    for number, payload in enumerate(payloads):
        if (number % 2 == 0) == we_initiate:
            assert bytes(theirs.read_message(ours.write_message(payload))) == payload
        else:
            assert ours.read_message(bytes(theirs.write_message(payload))) == payload
    assert theirs.handshake_finished
    assert theirs.get_handshake_hash() == ours.transcript
    sends, receives = ours.split()
    for message in talk:
        assert bytes(theirs.decrypt(sends.encrypt_with_ad(b"", message))) == message
        assert receives.decrypt_with_ad(b"", bytes(theirs.encrypt(message))) == message
        sends.rekey(), theirs.rekey_inbound_cipher()
        receives.rekey(), theirs.rekey_outbound_cipher()


@given(psk=psks, payload=binary(min_size=8, max_size=40))
@settings(max_examples=20)
def test_both_learn_each_other_and_nobody_else_does(psk: bytes | None, payload: bytes) -> None:
    """Who listens sees neither static key, nor what messages 2 and 3 carry."""
    initiator, responder = pair(psk)
    seen = b""
    for number, (writer, reader) in enumerate(turns(initiator, responder)):
        message = writer.write_message(payload if number else b"")
        reader.read_message(message)
        seen += message
    assert initiator.remote_static != responder.remote_static
    for side in (initiator, responder):
        assert side.remote_static is not None
        assert side.remote_static not in seen
    assert payload not in seen


@given(data=data(), psk=psks)
@settings(max_examples=60)
def test_no_bit_can_be_changed(data: Any, psk: bytes | None) -> None:
    """Rule 1: a bit changed in any message is noticed with the next thing that is decrypted."""
    initiator, responder = pair(psk)
    victim = data.draw(integers(0, 2))
    noticed = None
    for number, (writer, reader) in enumerate(turns(initiator, responder)):
        message = bytearray(writer.write_message(b"payload"))
        if number == victim:
            bit = data.draw(integers(0, len(message) * 8 - 1))
            message[bit // 8] ^= 1 << bit % 8
        try:
            reader.read_message(bytes(message))
        except InvalidMessage:
            noticed = number
            break
    # Message 1 is not encrypted (without a psk), so that a change in it is noticed by the reader of message 2.
    assert noticed is not None
    assert noticed == victim or (victim, noticed) == (0, 1)


@pytest.mark.parametrize("psk", [None, b"p" * KEY])
def test_truncated_messages_are_noticed(psk: bytes | None) -> None:
    """Every length too short, in every message."""
    initiator, responder = pair(psk)
    for writer, reader in turns(initiator, responder):
        message = writer.write_message()
        for length in range(len(message)):
            with pytest.raises(InvalidMessage):
                reader.fork().read_message(message[:length])
        reader.read_message(message)


def test_prologues_must_agree() -> None:
    """Rule 1: what somebody changed in what they believe they agreed on comes out at the first decryption."""
    initiator, _ = pair(prologue=b"versions 1, 2")
    _, responder = pair(prologue=b"versions 1")
    responder.read_message(initiator.write_message())
    with pytest.raises(InvalidMessage):
        initiator.read_message(responder.write_message())


def test_strangers_to_the_group_fail_at_the_third_message() -> None:
    """Rule 3: and until then the identity of the initiator is proved, so one can say to whom it happened."""
    initiator, _ = pair(psk=b"p" * KEY)
    _, responder = pair(psk=b"q" * KEY)
    responder.read_message(initiator.write_message())
    initiator.read_message(responder.write_message())
    with pytest.raises(InvalidMessage):
        responder.read_message(initiator.write_message())
    assert responder.remote_static is not None


def test_all_secrets_go_into_the_keys() -> None:
    """Rule 2: another ephemeral, static or pre-shared key makes other keys."""
    found = set()
    for ephemeral, static, psk in ((1, b"a", b"p"), (3, b"a", b"p"), (1, b"b", b"p"), (1, b"a", b"q")):
        initiator = HandshakeState(
            initiator=True, static=private(static * KEY), psk=psk * KEY, random_bytes=seeded(ephemeral)
        )
        _, responder = pair(psk * KEY)
        shake(initiator, responder)
        assert [c.key for c in initiator.split()] == [c.key for c in reversed(responder.split())]
        found |= {cipher.key for cipher in initiator.split()}
    assert len(found) == 8


def test_a_fork_that_fails_leaves_no_trace() -> None:
    """Rule 5: after a forged message the true one is still understood."""
    initiator, responder = pair(b"p" * KEY)
    for writer, reader in turns(initiator, responder):
        message = writer.write_message()
        forged = message[:-1] + bytes([message[-1] ^ 1])
        with pytest.raises(InvalidMessage):
            reader.fork().read_message(forged)
        reader.read_message(message)
    assert initiator.transcript == responder.transcript


def test_keys_without_a_secret_are_refused() -> None:
    """A public key of low order makes the shared secret zero, known to everybody (RFC 7748, section 6.1)."""
    _, responder = pair()
    responder.read_message(bytes(KEY))  # the point 0, and no payload
    with pytest.raises(InvalidMessage, match="ee"):
        responder.write_message()


def test_turns_are_kept() -> None:
    initiator, responder = pair()
    with pytest.raises(RuntimeError, match="message 1"):
        responder.write_message()
    with pytest.raises(RuntimeError, match="message 1"):
        initiator.read_message(b"")
    with pytest.raises(RuntimeError, match="0 of 3"):
        initiator.split()
    shake(initiator, responder)
    with pytest.raises(RuntimeError, match="done"):
        initiator.write_message()


def test_a_pre_shared_key_has_its_size() -> None:
    with pytest.raises(ValueError, match="has 6 bytes"):
        HandshakeState(initiator=True, static=private(b"i" * KEY), psk=b"secret")


def test_exported_keys_differ_by_label_and_stage_and_meet_no_other() -> None:
    initiator, responder = pair()
    found: list[bytes | None] = []
    for writer, reader in turns(initiator, responder):
        reader.read_message(writer.write_message())
        for label in (b"one", b"two"):
            found.append(initiator.export(label))
            assert responder.export(label) == found[-1]
    found += [cipher.key for cipher in initiator.split()]
    assert len(set(found)) == 8


def test_a_cipher_without_a_key_lets_pass() -> None:
    """Noise, section 5.1: so message 1 goes in the clear by the same code."""
    cipher = CipherState()
    cipher.rekey()
    assert cipher.encrypt_with_ad(b"", b"text") == cipher.decrypt_with_ad(b"", b"text") == b"text"


def test_a_nonce_is_used_once() -> None:
    """Rule 4; and a failed decryption uses none up."""
    sender, receiver = CipherState(b"k" * KEY), CipherState(b"k" * KEY)
    first, second = sender.encrypt_with_ad(b"", b"same"), sender.encrypt_with_ad(b"", b"same")
    assert first != second
    with pytest.raises(InvalidMessage):
        receiver.decrypt_with_ad(b"", second)
    assert receiver.decrypt_with_ad(b"", first) == receiver.decrypt_with_ad(b"", second) == b"same"
