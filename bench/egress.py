"""What the way out costs: HTTPS through the proxy's tunnel, beside nginx doing the same work."""

import json
import os
import shutil
import statistics
import subprocess

NAME = "bench.example"
# Loopback addresses, so that the ports are the ones that the web uses.
SERVER, PEER = "127.0.7.1", "127.0.7.2"
BIG = 256 << 20
RUNS = 11
REQUESTS = 101

TEMPLATE = f"""schema = 1
name = "netted"
extends = ["shell"]
[network]
egress = "allow"
allow = ["{NAME}"]
"""
CONFIG = f"""[egress]
permit = [{{ names = ["{NAME}"], cidr = "127.0.7.0/24" }}]
[egress.hosts]
"{NAME}" = ["{SERVER}"]
"""
# A server that is the same for all, and the peer: it reads the name in the hello and passes the rest on.
NGINX = """load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes auto;
pid {base}/nginx.pid;
error_log {base}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  server {{
    listen {server}:443 ssl http2;
    server_name {name};
    ssl_certificate {base}/server.crt;
    ssl_certificate_key {base}/server.key;
    ssl_session_tickets off;
    keepalive_requests 1000000;
    root {base}/www;
  }}
}}
stream {{
  map $ssl_preread_server_name $to {{ {name} {server}:443; }}
  server {{
    listen {peer}:443;
    ssl_preread on;
    tcp_nodelay on;
    proxy_pass $to;
  }}
}}
"""
# Runs inside and outside alike: WHAT ADDRESS NAME. Prints seconds.
CLIENT = r"""
import json, socket, ssl, sys, time
what, address, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
buffer = bytearray(1 << 18)
address = socket.getaddrinfo(address, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
def connect():
    plain = socket.create_connection(address)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=name)
def get(stream, path):
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(4096)
    head, body = head.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    words = [l.split(b":")[1] for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")]
    left = int(words[0]) - len(body)
    while left > 0:
        length = stream.recv_into(buffer)
        assert length, "cut off"
        left -= length
def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
def fresh():
    with connect() as stream:
        get(stream, "/small")
if what == "big":
    with connect() as stream:
        print(timed(lambda: get(stream, "/big")))
elif what == "fresh":
    fresh()
    print(json.dumps([timed(fresh) for _ in range(count)]))
else:
    with connect() as stream:
        get(stream, "/small")
        print(json.dumps([timed(lambda: get(stream, "/small")) for _ in range(count)]))
"""


class Nginx:
    """The server and the peer; gone with the block."""

    def __init__(self, lab):
        self.base = os.path.join(lab.base, "nginx")
        os.makedirs(os.path.join(self.base, "www"), exist_ok=True)
        lab.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split()
            + ["-subj", f"/CN={NAME}", "-keyout", f"{self.base}/server.key", "-out", f"{self.base}/server.crt"]
        )
        with open(f"{self.base}/www/big", "wb") as out:
            out.write(os.urandom(1 << 20) * (BIG >> 20))
        with open(f"{self.base}/www/small", "wb") as out:
            out.write(b"x" * 512)
        with open(f"{self.base}/nginx.conf", "w", encoding="utf-8") as out:
            out.write(NGINX.format(base=self.base, server=SERVER, peer=PEER, name=NAME))
        os.chmod(self.base, 0o755)

    def __enter__(self):
        argv = ["nginx", "-c", f"{self.base}/nginx.conf", "-g", "daemon off;"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.base, ignore_errors=True)


def prepare(lab):
    """An agent that may reach the server, and how to run the client in it or outside."""
    etc = os.path.join(lab.dir, "etc")
    os.makedirs(f"{etc}/templates", exist_ok=True)
    with open(f"{etc}/config.toml", "w", encoding="utf-8") as out:
        out.write(CONFIG)
    with open(f"{etc}/templates/netted.toml", "w", encoding="utf-8") as out:
        out.write(TEMPLATE)
    lab.agent("netted", "netted")

    def client(address, what):
        argv = ["python3", "-c", CLIENT, what, address, NAME, str(REQUESTS)]
        if address == NAME:
            argv = lab.argv("exec", "netted", "--", *argv)
        return json.loads(lab.run(argv))

    lab.until("the server and the ways to it", lambda: all(answers(client, at) for at in (SERVER, PEER, NAME)))
    return client


def answers(client, address):
    try:
        return bool(client(address, "fresh"))
    except RuntimeError:
        return False


def egress_throughput(lab):
    if not shutil.which("nginx"):
        return [lab.entry("egress_throughput", None, "nginx stream", None, "MB/s", "≥ 1.0", 0, "nginx is not installed")]
    with Nginx(lab):
        client = prepare(lab)
        ours, theirs = lab.alternate(lambda: client(NAME, "big"), lambda: client(PEER, "big"), RUNS)
        direct = statistics.median(client(SERVER, "big") for _ in range(RUNS))
        lab.wsm("rm", "--purge", "netted")
    rate = lambda seconds: BIG / seconds / 1e6
    share = direct / ours
    note = f"TLS end to end, 256 MiB; direct {rate(direct):,.0f} MB/s, of which wsm reaches {share:.2f}"
    return [lab.entry("egress_throughput", rate(ours), "nginx stream", rate(theirs), "MB/s", "≥ 1.0", RUNS, note)]


def egress_latency(lab):
    if not shutil.which("nginx"):
        return [lab.entry("egress_latency", None, "direct", None, "ms", "value ≤ 0.3", 0, "nginx is not installed")]
    with Nginx(lab):
        client = prepare(lab)
        added = {}
        for what in ("fresh", "kept"):
            medians = {SERVER: [], NAME: [], PEER: []}
            for _ in range(RUNS):
                for address, found in medians.items():
                    found.append(statistics.median(client(address, what)))
            direct = statistics.median(medians[SERVER]) * 1e3
            added[what] = [statistics.median(medians[at]) * 1e3 - direct for at in (NAME, PEER)] + [direct]
        lab.wsm("rm", "--purge", "netted")
    ours, theirs, direct = added["fresh"]
    kept = added["kept"]
    note = (
        f"added to {direct:.2f} ms direct by a request on a new TLS connection; "
        f"on a kept one {kept[0]:.3f} (nginx {kept[1]:.3f}) to {kept[2]:.3f}"
    )
    return [lab.entry("egress_latency", ours, "nginx stream", theirs, "ms", "value ≤ 0.3", RUNS * REQUESTS, note)]
