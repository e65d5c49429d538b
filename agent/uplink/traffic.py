"""What a TCP connection has cost, as the kernel counted it: TLS, keepalives, acknowledgements and what was sent twice.

Source: Linux, include/uapi/linux/tcp.h, struct tcp_info; `tcpi_bytes_sent` since Linux 4.19.
"""

from __future__ import annotations

import socket
import struct

# tcpi_bytes_received, tcpi_segs_out, tcpi_segs_in, and tcpi_bytes_sent: what was sent again is in it
_INFO = struct.Struct("=128x Q I I 56x Q")
HEADS = {socket.AF_INET: 52, socket.AF_INET6: 72}  # bytes a segment: IP, TCP, and the option with the time stamps


class Traffic:
    """The bytes of one connection, both ways, with the heads of IP and TCP."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._head = HEADS.get(sock.family, 0)
        self._last = 0

    def bytes(self) -> int:
        """Return how many there were so far, or when it was last asked before the socket was closed."""
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        except OSError:  # closed
            return self._last
        received, segments_out, segments_in, sent = _INFO.unpack(info)
        self._last = sent + received + self._head * (segments_out + segments_in)
        return self._last
