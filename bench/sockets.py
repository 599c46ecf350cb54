"""WebSockets as far as two clients need them, and the clients: a viewer of wsm's, and one of sshx's."""

import base64
import json
import os
import select
import socket
import struct
import subprocess
import time

# Frames of wsm's (terminal/src/protocol/codec.rs).
ATTACH, INPUT, ACK, SNAPSHOT, OUTPUT, LEASE = 0x10, 0x11, 0x13, 0x20, 0x21, 0x26
# SO_TIMESTAMPNS of <asm-generic/socket.h>: when a packet came, by the kernel (socket(7), CLOCK_REALTIME).
TIMESTAMPNS = 35
# Output drawn before it is acknowledged, as the CLI does.
ACK_BYTES = 32 * 1024
BINARY, CLOSE, PING, PONG = 0x2, 0x8, 0x9, 0xA


class Stream:
    """One connection over TCP; bytes come as they are."""

    def __init__(self, port, patience=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
        # Made once: to map and unmap so much for each key was a tenth of what a key seemed to take.
        self.room, self.came, self.buffer = memoryview(bytearray(1 << 18)), 0, b""

    def fileno(self):
        return self.socket.fileno()

    def more(self, patience):
        if not select.select([self.socket], [], [], patience)[0]:
            raise TimeoutError("nothing came")
        got, notes, _, _ = self.socket.recvmsg_into([self.room], socket.CMSG_SPACE(16))
        if not got:
            raise EOFError("the connection was closed")
        self.buffer += self.room[:got]
        for level, kind, time_spec in notes:
            if (level, kind) == (socket.SOL_SOCKET, TIMESTAMPNS):
                seconds, nanos = struct.unpack("qq", time_spec)
                self.came = seconds * 10**9 + nanos

    def receive(self, patience=30):
        self.more(patience)
        got, self.buffer = self.buffer, b""
        return got

    def send(self, payload):
        self.socket.sendall(payload)

    @staticmethod
    def framed(payload):
        return payload

    def close(self):
        self.socket.close()


class WebSocket(Stream):
    """Messages come whole."""

    def __init__(self, port, path, headers=(), patience=30):
        super().__init__(port, patience)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.more(patience)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"no WebSocket: {head.decode(errors='replace')}")

    def send(self, payload, opcode=BINARY):
        self.socket.sendall(self.framed(payload, opcode))

    @staticmethod
    def framed(payload, opcode=BINARY):
        # A mask of zeros is one: what is measured is not this client's arithmetic.
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        return head + bytes(4) + payload

    def taken(self):
        """A whole message from what is there already, or None."""
        if len(self.buffer) < 2:
            return None
        opcode, length, at = self.buffer[0] & 0xF, self.buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(self.buffer) < at + size:
                return None
            length, at = int.from_bytes(self.buffer[at : at + size], "big"), at + size
        if len(self.buffer) < at + length:
            return None
        payload, self.buffer = self.buffer[at : at + length], self.buffer[at + length :]
        return opcode, payload

    def receive(self, patience=30):
        end = time.monotonic() + patience
        while True:
            while (message := self.taken()) is None:
                # Pings are no answer.
                self.more(max(0, end - time.monotonic()))
            opcode, payload = message
            if opcode == BINARY:
                return payload
            if opcode == PING:
                self.send(payload, PONG)
            if opcode == CLOSE:
                raise EOFError("the other side said goodbye")


class Client:
    """What both have in common: bytes typed, bytes shown."""

    def type(self, text):
        self.socket.send(self.typed(text))

    def echo(self, letter):
        """Seconds from sending a key to the arrival of its echo at this end.

        That is when the kernel has it here, not when this client has come to read it: after an idle
        while its Python takes some 250 µs more, whatever it talks to.
        """
        key = self.socket.framed(self.typed(letter))
        begun = time.time_ns()
        self.socket.socket.sendall(key)
        while letter not in self.read(5):
            if time.time_ns() - begun > 5 * 10**9:
                raise TimeoutError("no echo")
        return (self.socket.came - begun) / 1e9

    def drain(self, quiet=0.3):
        try:
            while True:
                self.read(quiet)
        except TimeoutError:
            pass

    def drain_for(self, seconds):
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                self.read(left)
        except TimeoutError:
            pass

    def until(self, text, patience=120):
        end = time.monotonic() + patience
        tail = b""
        while text not in tail:
            tail = tail[-len(text) :] + self.read(patience)
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} did not come")


class Bare(Client):
    """The least that a terminal behind a socket takes: TCP, one process, a PTY with the same program."""

    def __init__(self, lab):
        port = lab.free_port()
        argv = ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay", "EXEC:cat,pty,rawer"]
        self.host = subprocess.Popen(argv, env=lab.env)
        lab.until("socat", lambda: connects(port))
        self.socket = Stream(port)

    def typed(self, text):
        return text

    def read(self, patience=30):
        return self.socket.receive(patience)

    def close(self):
        self.socket.close()
        self.host.terminate()
        self.host.wait()


class Ours(Client):
    """A viewer of an agent, over TCP as a browser is."""

    def __init__(self, lab, agent, **attach):
        self.socket = WebSocket(lab.port, f"/v1/agents/{agent}/attach", [f"Authorization: Bearer {lab.token()}"])
        self.seq = self.acked = self.number = self.epoch = 0
        wish = {"terminal": "main", "cols": 80, "rows": 24, **attach}
        self.socket.send(bytes([ATTACH]) + json.dumps(wish).encode())

    def typed(self, text):
        self.number += 1
        return struct.pack("<BQQ", INPUT, self.epoch, self.number) + text

    def read(self, patience=30):
        """What is to be drawn next."""
        while (drawn := self.take(self.socket.receive(patience))) is None:
            pass
        return drawn

    def look(self):
        """Takes what is there already."""
        while (message := self.socket.taken()) is not None:
            if message[0] == PING:
                self.socket.send(message[1], PONG)
            elif message[0] == BINARY:
                self.take(message[1])

    def take(self, frame):
        if frame[0] == LEASE:
            lease = json.loads(frame[1:])
            self.epoch = lease.get("epoch", 0) if lease.get("yours") else 0
        elif frame[0] == SNAPSHOT:
            self.seq = int.from_bytes(frame[1:9], "little")
            self.acknowledge()
            return frame[13:]
        elif frame[0] == OUTPUT:
            self.seq = int.from_bytes(frame[1:9], "little") + len(frame) - 9
            if self.seq - self.acked >= ACK_BYTES:
                self.acknowledge()
            return frame[9:]
        return None

    def acknowledge(self):
        self.acked = self.seq
        self.socket.send(struct.pack("<BQ", ACK, self.seq))

    def close(self):
        self.socket.close()


def keystream(key, stream, length):
    """What AES-128-CTR adds to a stream of sshx's: zeros, encrypted."""
    begin = struct.pack(">QQ", stream, 0).hex()
    argv = ["openssl", "enc", "-aes-128-ctr", "-nopad", "-K", key, "-iv", begin]
    return subprocess.run(argv, input=bytes(length), capture_output=True, check=True).stdout


def added(data, stream, at):
    part = stream[at : at + len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(part, "big")).to_bytes(len(data), "big")


SSHX_SALT = "This is a non-random salt for sshx.io, since we want to stretch the security of 83-bit keys!"
# The server numbers the bytes of a terminal in one stream, those typed in another.
SHOWN, TYPED = 0x1_0000_0000, 0x2_0000_0000


class Sshx(Client):
    """sshx with a server of its own: its shell in a window, and a browser's part of it."""

    def __init__(self, lab, binaries, bytes_max):
        self.lab, port = lab, lab.free_port()
        log = open(os.path.join(lab.base, "sshx.log"), "wb")
        self.server = subprocess.Popen([os.path.join(binaries, "sshx-server"), "--listen", "127.0.0.1", "--port", str(port)],
                                       env=lab.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lab.until("the server of sshx", lambda: connects(port))
        argv = [os.path.join(binaries, "sshx"), "--server", f"http://127.0.0.1:{port}", "--quiet", "--shell", "/bin/bash"]
        self.host = subprocess.Popen(argv, env=dict(lab.env, HOME=lab.env["HOME"]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        log.close()
        url = self.host.stdout.readline().decode().strip()
        name, secret = url.rsplit("/s/", 1)[1].split("#", 1)
        secret = secret.split(",")[0]
        argv = ["argon2", SSHX_SALT, "-id", "-t", "2", "-k", str(19 * 1024), "-p", "1", "-l", "16", "-r"]
        key = subprocess.run(argv, input=secret.encode(), capture_output=True, check=True).stdout.decode().strip()
        self.socket = WebSocket(port, f"/api/s/{name}")
        self.say({"authenticate": [keystream(key, 0, 16), None]})
        self.say({"create": [0, 0]})
        self.shell = self.wait("shells", lambda shells: shells[0][0] if shells else None)
        self.shown = keystream(key, SHOWN | self.shell, bytes_max)
        self.keys, self.sent = keystream(key, TYPED, 1 << 20), 0
        self.say({"move": [self.shell, {"x": 0, "y": 0, "rows": 24, "cols": 80}]})
        self.say({"subscribe": [self.shell, 0]})

    def say(self, value):
        self.socket.send(cbor(value))

    def wait(self, kind, found):
        while True:
            message = uncbor(self.socket.receive())
            if isinstance(message, dict) and kind in message and (it := found(message[kind])) is not None:
                return it

    def typed(self, text):
        at, self.sent = self.sent, self.sent + len(text)
        return cbor({"data": [self.shell, added(text, self.keys, at), at]})

    def read(self, patience=30):
        while True:
            message = uncbor(self.socket.receive(patience))
            if isinstance(message, dict) and "chunks" in message:
                _, at, chunks = message["chunks"]
                data = b"".join(chunks)
                return added(data, self.shown, at) if data else b""

    def close(self):
        self.socket.close()
        for process in (self.host, self.server):
            process.terminate()
            process.wait()


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def cbor(value):
    """As much of RFC 8949 as sshx is told in."""
    def head(kind, number):
        for size, code, most in ((0, number, 24), (1, 24, 1 << 8), (2, 25, 1 << 16), (4, 26, 1 << 32), (8, 27, 1 << 64)):
            if number < most:
                return bytes([kind << 5 | code]) + (number.to_bytes(size, "big") if size else b"")
        raise ValueError(number)

    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(part) for key, part in value.items())


def uncbor(data):
    def item(at):
        kind, low = data[at] >> 5, data[at] & 0x1F
        at += 1
        if kind == 7:
            size = {25: 2, 26: 4, 27: 8}.get(low, 0)
            return {20: False, 21: True}.get(low), at + size
        number = low
        if low >= 24:
            size = 1 << (low - 24)
            number, at = int.from_bytes(data[at : at + size], "big"), at + size
        if kind in (0, 1):
            return (number if kind == 0 else -1 - number), at
        if kind in (2, 3):
            part = data[at : at + number]
            return (part if kind == 2 else part.decode()), at + number
        if kind == 6:
            return item(at)
        found = []
        for _ in range(number if kind == 4 else 2 * number):
            one, at = item(at)
            found.append(one)
        return (found if kind == 4 else dict(zip(found[::2], found[1::2]))), at

    return item(0)[0]
