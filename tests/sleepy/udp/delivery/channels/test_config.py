"""The limits of sleepy/udp/delivery/channels/config.py."""

import pytest

from sleepy.udp.delivery.channels.config import ChannelConfig


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"priority": 256}, "priority"),
        ({"window_messages": 1}, "window_messages"),
        ({"queue_messages": 0}, "queue_messages"),
        ({"queue_bytes": 65535}, "queue_bytes"),
        ({"window_bytes": 2 * 65536 - 1}, "window_bytes"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ChannelConfig(**options)  # type: ignore[arg-type]
