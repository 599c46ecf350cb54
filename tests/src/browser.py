"""A browser as far as wsm can tell: cookies, Origin, WebSockets. Orders and answers are lines of JSON."""
import base64, http.client, json, os, select, socket, ssl, struct, sys, threading, time, urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
address = (sys.argv[2], int(sys.argv[3]))
origin = f"{url.scheme}://{url.netloc}"
jar = {}


def connect():
    raw = socket.create_connection(address, timeout=60)
    if url.scheme == "https":
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return trusting.wrap_socket(raw, server_hostname=url.hostname)
    return raw


def headers(changed):
    own = {"Host": url.netloc, "Origin": origin, "Sec-Fetch-Site": "same-origin", "x-wsm": "1"}
    if jar:
        own["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    own.update(changed or {})
    return {name: value for name, value in own.items() if value is not None}


def keep(line):
    parts = [part.strip() for part in line.split(";")]
    name, value = parts[0].split("=", 1)
    flags = {part.split("=")[0].lower(): part for part in parts[1:]}
    assert "httponly" in flags and flags["samesite"] == "SameSite=Strict" and "domain" not in flags, line
    assert ("secure" in flags) == (url.scheme == "https") == name.startswith("__Host-"), line
    if flags["max-age"] == "Max-Age=0":
        jar.pop(name, None)
    else:
        jar[name] = value


def ask(order):
    made = http.client.HTTPConnection("unused")
    made.sock = connect()
    body = json.dumps(order["body"]) if order.get("body") is not None else None
    made.putrequest(order["method"], order["path"], skip_host=True, skip_accept_encoding=True)
    for name, value in headers(order.get("headers")).items():
        made.putheader(name, value)
    made.putheader("Content-Length", str(len(body or "")))
    made.endheaders((body or "").encode())
    answer = made.getresponse()
    text = answer.read().decode()
    for line in answer.headers.get_all("Set-Cookie") or []:
        keep(line)
    made.close()
    return {"status": answer.status, "body": json.loads(text) if text else None}


class Viewer:
    def __init__(self, order):
        self.sock = connect()
        self.heard, self.lease, self.ended, self.number = bytearray(), {}, False, 0
        lines = [f"GET {order['path']} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers(order.get("headers")).items()]
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        # Of TLS one thread at a time: whoever reads does not wait while it holds the lock.
        self.lock, self.unread = threading.Lock(), bytearray()
        self.sock.setblocking(False)
        while b"\r\n\r\n" not in self.unread:
            self.more()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        if self.status == 101:
            size = {"terminal": "main", "cols": 100, "rows": 30, "read_only": bool(order.get("read_only"))}
            self.say(b"\x10" + json.dumps(size).encode())
            threading.Thread(target=self.listen, daemon=True).start()

    def say(self, message, opcode=2):
        mask = os.urandom(4)
        length = len(message)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + struct.pack(">H", length)
        rest = head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(message))
        while rest:
            try:
                with self.lock:
                    rest = rest[self.sock.send(rest):]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                select.select([], [self.sock], [], 0.1)

    def more(self):
        try:
            with self.lock:
                got = self.sock.recv(65536)
            if not got:
                raise EOFError
            self.unread += got
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            select.select([self.sock], [], [], 0.1)

    def exactly(self, count):
        while len(self.unread) < count:
            self.more()
        got = bytes(self.unread[:count])
        del self.unread[:count]
        return got

    def listen(self):
        try:
            while True:
                first, second = self.exactly(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack(">H", self.exactly(2))
                elif length == 127:
                    (length,) = struct.unpack(">Q", self.exactly(8))
                message = self.exactly(length)
                if first & 0xF == 8:
                    break
                if first & 0xF == 9:
                    self.say(message, 10)
                elif first & 0xF == 2:
                    self.hear(message)
        except (OSError, EOFError, ValueError):
            pass
        self.ended = True

    def hear(self, message):
        kind, rest = message[0], message[1:]
        if kind in (0x20, 0x21):
            (seq,) = struct.unpack_from("<Q", rest)
            text = rest[12:] if kind == 0x20 else rest[8:]
            self.heard += text
            self.say(b"\x13" + struct.pack("<Q", seq if kind == 0x20 else seq + len(text)))
        elif kind == 0x26:
            self.lease = json.loads(rest)
        elif kind == 0x24:
            self.heard += b"\n[refused] " + rest + b"\n"

    def type(self, text):
        self.number += 1
        epoch = self.lease.get("epoch", 0) if self.lease.get("yours") else 0
        self.say(b"\x11" + struct.pack("<QQ", epoch, self.number) + text.encode())


def until(true, seconds):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(true())


viewer = None
for line in sys.stdin:
    order = json.loads(line)
    match order["do"]:
        case "ask":
            answer = ask(order)
        case "attach":
            viewer = Viewer(order)
            answer = {"status": viewer.status}
        case "type":
            viewer.type(order["text"])
            answer = {}
        case "lease":
            viewer.say(b"\x16" + json.dumps(order["act"]).encode())
            answer = {}
        case "hears":
            want = order["text"].encode()
            answer = {"is": until(lambda: want in viewer.heard, 60), "heard": viewer.heard.decode("utf-8", "replace")}
        case "holds":
            answer = {"is": until(lambda: bool(viewer.lease.get("yours")) == order["yes"], 60), "lease": viewer.lease}
        case "ends":
            begun = time.monotonic()
            answer = {"is": until(lambda: viewer.ended, order.get("within", 60)), "after": time.monotonic() - begun}
        case "jar":
            answer = {"jar": jar}
    print(json.dumps(answer), flush=True)
