"""The rules of sleepy/udp/security/cookie.py."""

import random
import sys

import pytest
from hypothesis import assume, given
from hypothesis.strategies import binary, floats, integers, text, tuples

from sleepy.udp.address import Address
from sleepy.udp.security.cookie import CookieJar

HERE = ("10.0.0.1", 1234)
addresses = tuples(text(max_size=20), integers(0, 65535))


def jar(seed: int = 1) -> CookieJar:
    return CookieJar(now=0.0, period=10.0, random_bytes=random.Random(seed).randbytes)


@given(address=addresses, other=addresses, subject=binary(max_size=40), another=binary(max_size=40))
def test_a_cookie_holds_for_its_address_and_subject_only(
    address: Address, other: Address, subject: bytes, another: bytes
) -> None:
    """Rule 1; theft by another address is useless."""
    cookies = jar()
    cookie = cookies.bake(address, subject, 0.0)
    assert len(cookie) == 16
    assert cookies.check(cookie, address, subject, 0.0)
    assert cookies.check(cookie, other, subject, 0.0) is (other == address)
    assert cookies.check(cookie, address, another, 0.0) is (another == subject)


@given(baked=floats(0, 100), waited=floats(0, 100))
def test_a_cookie_lives_between_one_and_two_periods(baked: float, waited: float) -> None:
    """Rule 2."""
    assume(abs((baked + waited) % 10) > 1e-6)  # at the very moment of a change, rounding decides
    cookies = jar()
    cookie = cookies.bake(HERE, b"hello", baked)
    good = cookies.check(cookie, HERE, b"hello", baked + waited)
    assert good is (int((baked + waited) / 10) - int(baked / 10) < 2)
    if waited < 9.99:
        assert good
    if waited > 20:
        assert not good


@pytest.mark.parametrize("guess", [b"", b"\0" * 16, b"\xff" * 16, b"x" * 1000])
def test_guesses_are_no_cookies(guess: bytes) -> None:
    assert not jar().check(guess, HERE, b"hello", 0.0)


def test_cookies_of_another_jar_are_no_good() -> None:
    assert not jar(2).check(jar(1).bake(HERE, b"hello", 0.0), HERE, b"hello", 0.0)


def test_no_memory_is_kept() -> None:
    """Rule 3: after ten thousand cookies the jar holds what it held."""

    def held(cookies: CookieJar) -> int:
        return sum(sys.getsizeof(getattr(cookies, name)) for name in cookies.__slots__)

    cookies = jar()
    before = held(cookies)
    for port in range(10_000):
        cookies.bake(("10.0.0.1", port), b"hello", port / 100)
    assert held(cookies) == before
