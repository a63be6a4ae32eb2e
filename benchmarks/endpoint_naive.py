"""The yardstick: reliable's endpoint as one would first write it in Python, question by question.

Each of the 32 ack bits is asked for and looked at on every packet, entries are objects, and statistics walk over half
of what is remembered. It behaves like `sleepy.udp.Endpoint` down to the byte (the tests hold one against the other, so
it is an oracle as well), and is there to show what the difference costs.
"""

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from sleepy.udp import Counters, EndpointConfig, Packet, SequenceBuffer, newer


@dataclass
class Sent:
    time: float
    size: int
    acked: bool = False


@dataclass
class Received:
    time: float
    size: int


@dataclass
class Assembly:
    count: int
    header: bytes = b""
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Header:
    sequence: int
    ack: int
    ack_bits: int
    size: int


def write_header(sequence: int, ack: int, ack_bits: int) -> bytes:
    header = bytearray(3)
    header[1:3] = sequence.to_bytes(2, "little")
    difference = (sequence - ack) % 65536
    if difference <= 255:
        header[0] |= 1 << 5
        header.append(difference)
    else:
        header += ack.to_bytes(2, "little")
    for i, byte in enumerate(ack_bits.to_bytes(4, "little")):
        if byte != 0xFF:
            header[0] |= 1 << (i + 1)
            header.append(byte)
    return bytes(header)


def read_header(data: bytes) -> Header | None:
    if len(data) < 3 or data[0] & 1:
        return None
    prefix = data[0]
    sequence = int.from_bytes(data[1:3], "little")
    if prefix & (1 << 5):
        if len(data) < 4:
            return None
        ack = (sequence - data[3]) % 65536
        at = 4
    else:
        if len(data) < 5:
            return None
        ack = int.from_bytes(data[3:5], "little")
        at = 5
    ack_bits = 0
    for i in range(4):
        byte = 0xFF
        if prefix & (1 << (i + 1)):
            if at >= len(data):
                return None
            byte = data[at]
            at += 1
        ack_bits |= byte << (8 * i)
    return Header(sequence, ack, ack_bits, at)


class NaiveEndpoint:
    def __init__(self, config: EndpointConfig | None = None, *, now: float) -> None:
        self.config = config or EndpointConfig()
        self.time = now
        self.rtt = 0.0
        self.rtt_history = [-1.0] * self.config.rtt_history_size
        self.rtt_min = self.rtt_max = self.rtt_avg = 0.0
        self.jitter_avg_vs_min_rtt = self.jitter_max_vs_min_rtt = self.jitter_stddev_vs_avg_rtt = 0.0
        self.packet_loss = 0.0
        self.sent_kbps = self.received_kbps = self.acked_kbps = 0.0
        self.reset()

    def reset(self) -> None:
        self.sequence = 0
        self.acks: list[int] = []
        self.counters = Counters()
        self.sent_packets: SequenceBuffer[Sent] = SequenceBuffer(self.config.sent_packets_buffer_size)
        self.received_packets: SequenceBuffer[Received] = SequenceBuffer(self.config.received_packets_buffer_size)
        self.reassembly: SequenceBuffer[Assembly] = SequenceBuffer(self.config.fragment_reassembly_buffer_size)

    def ack_state(self) -> tuple[int, int]:
        ack = (self.received_packets.next - 1) % 65536
        ack_bits = 0
        for i in range(32):
            if (ack - i) % 65536 in self.received_packets:
                ack_bits |= 1 << i
        return ack, ack_bits

    def send(self, payload: bytes) -> list[bytes]:
        config = self.config
        if len(payload) > config.max_packet_size:
            self.counters.packets_too_large_to_send += 1
            raise ValueError("too large")
        sequence = self.sequence
        self.sequence = (sequence + 1) % 65536
        ack, ack_bits = self.ack_state()
        self.sent_packets.insert(sequence, Sent(self.time, len(payload) + config.packet_header_size))
        self.counters.packets_sent += 1
        header = write_header(sequence, ack, ack_bits)
        if len(payload) <= config.fragment_above:
            return [header + payload]
        count = -(-len(payload) // config.fragment_size)
        datagrams = []
        for i in range(count):
            fragment = b"\x01" + sequence.to_bytes(2, "little") + bytes([i, count - 1])
            if i == 0:
                fragment += header
            datagrams.append(fragment + payload[i * config.fragment_size : (i + 1) * config.fragment_size])
            self.counters.fragments_sent += 1
        return datagrams

    def receive(self, datagram: bytes) -> Packet | None:
        if len(datagram) > self.config.max_packet_size + 14:
            self.counters.packets_too_large_to_receive += 1
            return None
        if datagram and datagram[0] & 1:
            return self.receive_fragment(datagram)
        self.counters.packets_received += 1
        header = read_header(datagram)
        if header is None:
            self.counters.packets_invalid += 1
            return None
        payload = datagram[header.size :]
        if len(payload) > self.config.max_packet_size:
            self.counters.packets_too_large_to_receive += 1
            return None
        if self.received_packets.is_stale(header.sequence):
            self.counters.packets_stale += 1
            return None
        if header.sequence in self.received_packets:
            self.counters.packets_duplicate += 1
            return None
        self.received_packets.insert(
            header.sequence, Received(self.time, len(datagram) + self.config.packet_header_size)
        )
        self.reassembly.advance(header.sequence)
        self.process_acks(header.ack, header.ack_bits)
        return Packet(header.sequence, payload)

    def process_acks(self, ack: int, ack_bits: int) -> None:
        for i in range(32):
            if ack_bits & 1:
                sequence = (ack - i) % 65536
                sent = self.sent_packets.find(sequence)
                if sent is not None and not sent.acked and len(self.acks) < self.config.ack_buffer_size:
                    self.acks.append(sequence)
                    self.counters.packets_acked += 1
                    sent.acked = True
                    sample = (self.time - sent.time) * 1000
                    self.rtt_history[sequence % self.config.rtt_history_size] = sample
                    if (self.rtt == 0 and sample > 0) or abs(self.rtt - sample) < 1e-5:
                        self.rtt = sample
                    else:
                        self.rtt += (sample - self.rtt) * self.config.rtt_smoothing_factor
            ack_bits >>= 1

    def receive_fragment(self, datagram: bytes) -> Packet | None:
        config = self.config
        read = self.read_fragment(datagram)
        if read is None:
            self.counters.fragments_invalid += 1
            return None
        sequence, index, count, header, data = read
        if (count - 1) * config.fragment_size + (len(data) if index == count - 1 else 0) > config.max_packet_size:
            self.counters.packets_too_large_to_receive += 1
            return None
        if sequence in self.received_packets:
            return None
        assembly = self.reassembly.find(sequence)
        if assembly is None:
            if not newer((sequence + 1) % 65536, self.reassembly.next) and self.reassembly.is_stale(sequence):
                self.counters.fragments_invalid += 1
                return None
            self.reassembly.advance(sequence)
            assembly = Assembly(count)
            self.reassembly.insert(sequence, assembly)
            self.received_packets.advance(sequence)
        if assembly.count != count:
            self.counters.fragments_invalid += 1
            return None
        if index in assembly.parts:
            return None
        assembly.parts[index] = data
        assembly.header += header
        packet = None
        if len(assembly.parts) == count:
            packet = self.receive(assembly.header + b"".join(assembly.parts[i] for i in range(count)))
            self.reassembly.remove(sequence)
        self.counters.fragments_received += 1
        return packet

    def read_fragment(self, datagram: bytes) -> tuple[int, int, int, bytes, bytes] | None:
        if len(datagram) < 5 or datagram[0] != 1:
            return None
        sequence, index, count = int.from_bytes(datagram[1:3], "little"), datagram[3], datagram[4] + 1
        if count > self.config.max_fragments or index >= count:
            return None
        data, encoded = datagram[5:], b""
        if index == 0:
            header = read_header(data)
            if header is None or header.sequence != sequence:
                return None
            encoded, data = data[: header.size], data[header.size :]
            if encoded != write_header(header.sequence, header.ack, header.ack_bits):
                return None
        if len(data) > self.config.fragment_size or (index < count - 1 and len(data) != self.config.fragment_size):
            return None
        return sequence, index, count, encoded, data

    def take_acks(self) -> list[int]:
        acks, self.acks = self.acks, []
        return acks

    def update(self, now: float) -> None:
        self.time = now
        history = [sample for sample in self.rtt_history if sample >= 0] or [0.0]
        self.rtt_min, self.rtt_max, self.rtt_avg = min(history), max(history), sum(history) / len(history)
        self.jitter_avg_vs_min_rtt = sum(sample - self.rtt_min for sample in history) / len(history)
        self.jitter_max_vs_min_rtt = max(sample - self.rtt_min for sample in history)
        self.jitter_stddev_vs_avg_rtt = sqrt(sum((sample - self.rtt_avg) ** 2 for sample in history) / len(history))
        sent = older_half(self.sent_packets)
        acked = [entry for entry in sent if entry.acked]
        self.packet_loss = (
            smooth(
                self.packet_loss, (len(sent) - len(acked)) / len(sent) * 100, self.config.packet_loss_smoothing_factor
            )
            if sent
            else 0.0
        )
        share = self.config.bandwidth_smoothing_factor
        self.sent_kbps = smooth_rate(self.sent_kbps, sent, share)
        self.acked_kbps = smooth_rate(self.acked_kbps, acked, share)
        self.received_kbps = smooth_rate(self.received_kbps, older_half(self.received_packets), share)


def older_half(buffer: SequenceBuffer[Any]) -> list[Any]:
    start = buffer.next - buffer.size
    entries = [buffer.find(sequence % 65536) for sequence in range(start, start + buffer.size // 2)]
    return [entry for entry in entries if entry is not None]


def smooth(average: float, sample: float, share: float) -> float:
    return average + (sample - average) * share if abs(average - sample) > 1e-5 else sample


def smooth_rate(average: float, entries: list[Sent] | list[Received], share: float) -> float:
    times = [entry.time for entry in entries]
    if not times or max(times) - min(times) < 1e-9:
        return average
    return smooth(average, sum(entry.size for entry in entries) / (max(times) - min(times)) * 8 / 1000, share)
