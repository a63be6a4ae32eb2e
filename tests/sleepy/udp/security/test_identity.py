"""The rules of sleepy/udp/security/identity.py."""

import copy
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis.strategies import binary, text

from sleepy.udp.security.identity import Identity, parse_key, print_key

PRIVATE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"


def pem(key: X25519PrivateKey | Ed25519PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def private_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_the_key_pair_of_rfc_7748() -> None:
    """RFC 7748, section 6.1: Alice's."""
    assert Identity(bytes.fromhex(PRIVATE)).public_key.hex() == PUBLIC


def test_a_seed_makes_the_same_identity_and_none_another() -> None:
    assert Identity.generate(random.Random(1).randbytes) == Identity.generate(random.Random(1).randbytes)
    assert len({Identity.generate(), Identity.generate()}) == 2


@given(binary(min_size=32, max_size=32))
def test_public_keys_are_printed_and_parsed(public_key: bytes) -> None:
    printed = print_key(public_key)
    assert parse_key(f" {printed}\n") == public_key
    assert len(printed) == 43


@given(text(max_size=50) | text("abcXYZ019-_=+/ ", max_size=42))
def test_what_is_no_key_is_not_parsed(words: str) -> None:
    """Hypothesis does not guess 43 letters that are one; the error says what keys look like."""
    with pytest.raises(ValueError, match="43 letters"):
        parse_key(words)


def test_one_key_has_one_printed_form() -> None:
    """The last letter has two bits to spare: set, they would make another text for the same key."""
    printed = print_key(bytes(32))
    with pytest.raises(ValueError, match="43 letters"):
        parse_key(printed[:-1] + "B")


def test_nothing_prints_the_private_key() -> None:
    """Rule 1."""
    identity = Identity(bytes.fromhex(PRIVATE))
    for shown in (repr(identity), str(identity), f"{identity}"):
        assert PRIVATE not in shown
        assert print_key(bytes.fromhex(PRIVATE)) not in shown
        assert print_key(bytes.fromhex(PUBLIC)) in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="private key"):
            leak(identity)


def test_saved_and_loaded(tmp_path: Path) -> None:
    """Rule 2: into a file of its owner's alone; and never over another."""
    path = tmp_path / "peer.pem"
    identity = Identity.generate()
    identity.save(path)
    assert Identity.load(path) == identity
    assert Identity.load(str(path)).private_key.private_bytes_raw() == identity.private_key.private_bytes_raw()
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Identity.generate().save(path)


@pytest.mark.skipif(os.name != "posix", reason="other systems keep permissions elsewhere")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Rule 2, and the error says what to do."""
    path = tmp_path / "peer.pem"
    Identity.generate().save(path)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        Identity.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        os.urandom(32),
        pem(Ed25519PrivateKey.generate(), NoEncryption()),
        pem(X25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "words", "bytes", "another kind", "encrypted"],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = private_file(tmp_path / "some.pem", content)
    with pytest.raises(ValueError, match=r"some\.pem holds no unencrypted X25519"):
        Identity.load(path)


def test_a_private_key_has_its_size() -> None:
    with pytest.raises(ValueError, match="has 31 bytes") as caught:
        Identity(b"k" * 31)
    assert "kkk" not in str(caught.value)


def test_the_endpoint_needs_no_cryptography() -> None:
    """Pyodide has none at hand: ``import sleepy.udp`` must do without."""
    program = (
        "import sys; sys.modules['cryptography'] = None; import sleepy.udp; sleepy.udp.Endpoint(now=0.0).send(b'.')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
