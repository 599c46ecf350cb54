"""Stands before a shim and makes it one of the first version: `older.py SOCKET`.

What came later is taken out of what both sides say of themselves, fields that an old shim skips are
skipped, and whatever else it would not know is written to standard output: nobody may send that."""
import json, os, socket, struct, sys, threading

path = sys.argv[1]
real = path + ".real"
HELLO, REQUEST, REPLY, EVENT, ATTACH = 0x01, 0x02, 0x03, 0x04, 0x10
KNOWN = {HELLO, REQUEST, REPLY, EVENT, *range(0x10, 0x15), *range(0x20, 0x25), *range(0x30, 0x35), 0x40, 0x41}
REQUESTS = {"start", "signal", "send", "list", "forget", "capture", "log", "watch", "subscribe", "ticket"}
REPLIES = {"done", "started", "exists", "not-found", "failed", "listed", "captured", "log", "ticket"}
EVENTS = {"exited", "activity", "bell", "title", "notice", "mark", "changed", "logged", "missed"}


class Unknown(Exception):
    pass


def variant(told):
    return told if isinstance(told, str) else next(iter(told))


def unknown(what):
    print(what, flush=True)
    raise Unknown(what)


def older(kind, payload):
    """The frame as the first version has it."""
    if kind not in KNOWN:
        unknown(f"a frame of type {kind:#x}")
    if kind in (HELLO, ATTACH):
        told = json.loads(payload)
        for name in ("speaks", "fit"):
            told.pop(name, None)
        return json.dumps(told).encode()
    if kind == EVENT and variant(json.loads(payload)) not in EVENTS:
        unknown(f"an event {payload!r}")
    if kind in (REQUEST, REPLY):
        number, told = payload[:8], json.loads(payload[8:])
        if variant(told) not in (REQUESTS if kind == REQUEST else REPLIES):
            unknown(f"a request or a reply {payload[8:]!r}")
        if isinstance(told, dict) and isinstance(inner := told[variant(told)], dict):
            inner.pop("person", None)
            if isinstance(inner.get("io"), dict):
                inner["io"].get("terminal", {}).pop("record", None)
        return number + json.dumps(told).encode()
    return payload


def end(each, how):
    try:
        each.shutdown(how)
    except OSError:
        pass


def carry(source, target):
    held = b""
    try:
        while True:
            more, fds, _, _ = socket.recv_fds(source, 1 << 16, 4)
            if not more:
                break
            held, out = held + more, b""
            while len(held) >= 4 and len(held) >= 4 + (length := struct.unpack("<I", held[:4])[0]):
                kind, payload = held[4], older(held[4], held[5:4 + length])
                held = held[4 + length:]
                out += struct.pack("<I", 1 + len(payload)) + bytes([kind]) + payload
            if out:
                sent = socket.send_fds(target, [out], fds)
                target.sendall(out[sent:])
            for fd in fds:
                os.close(fd)
    except OSError:
        pass  # who does not read any more may have said something before
    except Unknown:
        end(source, socket.SHUT_WR)
    end(source, socket.SHUT_RD)
    end(target, socket.SHUT_WR)


os.rename(path, real)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(64)
print("ready", flush=True)
while True:
    here, _ = listener.accept()
    there = socket.socket(socket.AF_UNIX)
    there.connect(real)
    for ends in ((here, there), (there, here)):
        threading.Thread(target=carry, args=ends, daemon=True).start()
