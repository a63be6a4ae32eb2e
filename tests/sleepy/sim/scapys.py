"""What scapy makes of our bytes."""

from scapy.layers.inet import ICMP, IP, TCP, UDP


def rebuilt(data: bytes) -> bytes:
    """The same packet as scapy writes it, checksums computed by scapy."""
    packet = IP(data)
    for layer in (IP, UDP, TCP, ICMP):
        if packet.haslayer(layer):
            del packet[layer].chksum
    return bytes(packet)
