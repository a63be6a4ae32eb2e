"""Who a peer is: a key pair.

Addresses change and names can be claimed; a private key cannot be guessed. So a peer *is* its public key: 32 bytes which
may be printed, mailed and compared, and whose private half stays where it was made. Nobody needs to be asked for
permission, and no authority can be tricked into vouching for somebody else. What remains is to learn the right public key
once, on a way one trusts: that is what ``expect=`` and ``accept=`` compare.

Rules:

1. No ``repr``, no error and no pickle has the private key: it leaves by `Identity.save` and by asking for it.
2. A private key's file belongs to its owner alone. One that others may read is refused: the key is no secret any more.

X25519 (RFC 7748); files are PKCS #8 in PEM (RFC 8410), which ``openssl pkey`` reads too.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import NoReturn, final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sleepy.udp.security.noise import KEY, RandomBytes


def print_key(public_key: bytes) -> str:
    """A public key as people pass it on: 43 letters, digits, ``-`` and ``_`` (RFC 4648, section 5, without padding)."""
    return urlsafe_b64encode(public_key).decode().rstrip("=")


def parse_key(text: str) -> bytes:
    """The public key that `print_key` printed.

    Raises:
        ValueError: The text is no such key.
    """
    text = text.strip()
    try:
        public_key = urlsafe_b64decode(text + "=")
    except ValueError:
        public_key = b""
    if len(public_key) != KEY or print_key(public_key) != text:
        raise ValueError(f"{text!r} is no public key: those are 43 letters, digits, '-' and '_'")
    return public_key


@final
class Identity:
    """A key pair; whoever holds it is this peer.

    Args:
        private_key: 32 bytes, as good as random.

    Attributes:
        private_key: For the handshake; ``private_bytes_raw()`` of it gives the bytes, to keep them elsewhere than in a file.
        public_key: 32 bytes, by which others know this peer. ``str()`` of the identity is its printed form.

    Raises:
        ValueError: The private key has another size.
    """

    __slots__ = ("private_key", "public_key")

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != KEY:
            raise ValueError(f"the private key has {len(private_key)} bytes; it must have {KEY}")
        self.private_key = X25519PrivateKey.from_private_bytes(private_key)
        self.public_key = self.private_key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random_bytes: RandomBytes = os.urandom) -> "Identity":
        """A new identity; ``random_bytes`` is for tests that want the same one every time."""
        return cls(random_bytes(KEY))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Identity":
        """Read an identity that `save` wrote.

        Raises:
            OSError: The file cannot be read.
            PermissionError: Others may read it (rule 2).
            ValueError: It holds no X25519 private key in PEM.
        """
        path = Path(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)  # a key has about 120 bytes
        if os.name == "posix" and mode & 0o077:
            raise PermissionError(f"{path}: others may read this private key; make a new one, or chmod 600 if none did")
        try:
            key = load_pem_private_key(text, password=None)
        except (ValueError, TypeError):  # TypeError: it is encrypted
            key = None
        if not isinstance(key, X25519PrivateKey):
            raise ValueError(f"{path} holds no unencrypted X25519 private key in PEM")
        return cls(key.private_bytes_raw())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the private key to a new file that only its owner may read (rule 2).

        Raises:
            FileExistsError: There is such a file; an identity overwritten is lost for good.
            OSError: The file cannot be written.
        """
        text = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.public_key == other.public_key

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __str__(self) -> str:
        return print_key(self.public_key)

    def __repr__(self) -> str:
        return f"<Identity {self}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity is not pickled: its private key would travel along; use save() and load()")
