"""Clients of the broker and of a shim, as the daemon is one: see sandbox/src/protocol.rs."""

import json
import os
import socket
import struct

HELLO, REQUEST, REPLY, OPEN, EXITED = 0x01, 0x02, 0x03, 0x30, 0x23


def daemon_uid(directory):
    """Who may ask the broker: what `wsm up` told it."""
    with open(os.path.join(directory, "run/broker.json"), encoding="utf-8") as config:
        return json.load(config)["daemon_uid"]


def connect(path, kind, uid):
    """Connects as `uid`: the kernel tells the peer who connected, not who writes later."""
    end = socket.socket(socket.AF_UNIX, kind)
    end.settimeout(30)
    os.seteuid(uid)
    try:
        end.connect(path)
    finally:
        os.seteuid(0)
    return end


class Broker:
    def __init__(self, directory, uid=None):
        uid = daemon_uid(directory) if uid is None else uid
        path = os.path.join(directory, "run/broker.sock")
        self.end = connect(path, socket.SOCK_SEQPACKET, uid)

    def ask(self, request, descriptors=()):
        packet = json.dumps({"version": 1, "request": request}).encode()
        socket.send_fds(self.end, [packet], list(descriptors))
        answer, received, _, _ = socket.recv_fds(self.end, 192 * 1024, 32)
        reply = json.loads(answer)
        if isinstance(reply, dict) and "failed" in reply:
            failure = reply["failed"]
            raise RuntimeError(f"{failure['what']}: {failure['why']}")
        return reply, received

    @staticmethod
    def grant(directory, repository):
        """Root lets wsm use the repository."""
        tree = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
        git = os.open(os.path.join(repository, ".git"), os.O_RDONLY | os.O_DIRECTORY)
        reply, _ = Broker(directory, 0).ask({"grant": {"purpose": "repository"}}, [tree, git])
        os.close(tree)
        os.close(git)
        return reply["granted"]["grant"]


class Shim:
    def __init__(self, path):
        self.end = connect(path, socket.SOCK_STREAM, 0)
        self.buffer = b""
        self.send(HELLO, json.dumps({"version": 1}).encode())
        self.receive(HELLO)

    def close(self):
        self.end.close()

    def send(self, kind, payload):
        self.end.sendall(struct.pack("<IB", len(payload) + 1, kind) + payload)

    def receive(self, wanted):
        while True:
            while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from("<I", self.buffer)[0]:
                more = self.end.recv(65536)
                if not more:
                    raise RuntimeError("the shim closed the connection")
                self.buffer += more
            length = struct.unpack_from("<I", self.buffer)[0]
            kind, payload = self.buffer[4], self.buffer[5 : 4 + length]
            self.buffer = self.buffer[4 + length :]
            if kind == wanted:
                return payload

    def run_to_end(self, argv, directory):
        command = {"argv": argv, "env": [["PATH", "/usr/bin:/bin"]], "cwd": directory, "leaf": "agent"}
        request = {"start": {"process": "exec/1", "command": command, "io": "stream"}}
        self.send(REQUEST, struct.pack("<Q", 1) + json.dumps(request).encode())
        reply = json.loads(self.receive(REPLY)[8:])
        if "started" not in reply:
            raise RuntimeError(f"the shim answered {reply}")
        self.send(OPEN, b"exec/1")
        ended = json.loads(self.receive(EXITED))
        if ended != {"code": 0}:
            raise RuntimeError(f"{argv} ended with {ended}")
