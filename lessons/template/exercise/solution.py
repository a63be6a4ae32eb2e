"""Which of two packets is the newer one?"""


def newer(a: int, b: int) -> bool:
    """Whether sequence ``a`` is newer than sequence ``b``; both in 0..65535."""
    return 0 < (a - b) & 0xFFFF < 32768
