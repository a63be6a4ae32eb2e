"""The rules of sleepy/udp/security/sealing.py."""

import random

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers

from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import SEAL, Sealer

ALICE, BOB, EVE = (Identity(bytes([number]) * 32) for number in (1, 2, 3))


def sealer(ours: Identity, theirs: Identity, seed: int = 1) -> Sealer:
    return Sealer(ours, theirs.public_key, random.Random(seed).randbytes)


@given(head=binary(max_size=50), text=binary(max_size=300))
def test_the_peer_opens_what_we_sealed_and_nobody_else(head: bytes, text: bytes) -> None:
    sealed = sealer(ALICE, BOB).seal(head, text)
    assert sealed[: len(head)] == head
    assert len(sealed) == len(head) + len(text) + SEAL
    assert sealer(BOB, ALICE).open(head, sealed[len(head) :]) == text
    for ours, theirs in ((EVE, ALICE), (EVE, BOB), (BOB, EVE), (ALICE, EVE)):
        assert sealer(ours, theirs).open(head, sealed[len(head) :]) is None


def test_rule_1_our_own_do_not_come_back_as_theirs() -> None:
    sealed = sealer(ALICE, BOB).seal(b"", b"hello")
    assert sealer(ALICE, BOB).open(b"", sealed) is None


@given(at=integers(0, 45), bit=integers(0, 7))
def test_rule_2_head_and_text_are_authenticated(at: int, bit: int) -> None:
    sealed = bytearray(sealer(ALICE, BOB).seal(b"head", b"text of 14 B.."))
    sealed[at] ^= 1 << bit
    assert sealer(BOB, ALICE).open(bytes(sealed[:4]), bytes(sealed[4:])) is None


def test_rule_3_equal_texts_look_different_each_time() -> None:
    ours = sealer(ALICE, BOB)
    assert len({ours.seal(b"", b"hello") for _ in range(100)}) == 100


@given(binary(max_size=100))
def test_bytes_of_others_are_none(data: bytes) -> None:
    assert sealer(ALICE, BOB).open(b"", data) is None


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), b"short"])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    """A point of low order would make a secret that everybody knows (RFC 7748, section 6.1)."""
    with pytest.raises(ValueError, match=f"{key.hex()} is no public key of X25519"):
        Sealer(ALICE, key)
