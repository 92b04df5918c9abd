"""Messages over a socket: a length of eight bytes, then the message. Reading is capped and timed.

deadline  float   of time.monotonic(), seconds
"""

import socket
import time

LENGTH = 8
CHUNK = 1 << 20


class Gone(Exception):
    """The other side has closed the socket, or died."""


class Late(Exception):
    """The other side was too slow."""


class TooLong(Exception):
    """The other side announced a message that is longer than allowed."""


def send(sock: socket.socket, message: bytes, deadline: float | None = None) -> None:
    """Send one message.

    Raises:
        Gone, Late: see there.
    """
    try:
        sock.settimeout(_left(deadline))
        sock.sendall(len(message).to_bytes(LENGTH, "little") + message)
    except TimeoutError as error:
        raise Late from error
    except OSError as error:
        raise Gone from error


def receive(sock: socket.socket, most: int, deadline: float | None = None) -> bytes:
    """The next message, of at most `most` bytes.

    Raises:
        Gone, Late, TooLong: see there.
    """
    length = int.from_bytes(_exactly(sock, LENGTH, deadline), "little")
    if length > most:
        raise TooLong(length)
    return bytes(_exactly(sock, length, deadline))


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytearray:
    received = bytearray()
    while len(received) < length:
        try:
            sock.settimeout(_left(deadline))
            chunk = sock.recv(min(length - len(received), CHUNK))
        except TimeoutError as error:
            raise Late from error
        except OSError as error:
            raise Gone from error
        if not chunk:
            raise Gone
        received += chunk
    return received


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise Late
    return left
