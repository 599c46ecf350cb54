"""What putting a credential in costs: HTTPS to HTTPS, beside nginx doing the same work."""

import json
import os
import shutil
import statistics
import subprocess

import egress
from egress import BIG, NAME, REQUESTS, RUNS

SERVER, PEER = "127.0.8.1", "127.0.8.2"
VALUE = "bench-value-0123456789"
TEMPLATE = f"""schema = 1
name = "keyed"
extends = ["shell"]
[network]
egress = "allow"
allow = ["{NAME}"]
[credentials.bench]
secret = "bench"
hosts = ["{NAME}"]
header = "x-api-key"
env = "BENCH_KEY"
"""
CONFIG = f"""[egress]
permit = [{{ names = ["{NAME}"], cidr = "127.0.8.0/24" }}]
[egress.hosts]
"{NAME}" = ["{SERVER}"]
"""
# The server answers only who has the value; the peer sets it, keeps connections, and verifies.
NGINX = """worker_processes auto;
pid {base}/nginx.pid;
error_log {base}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  ssl_certificate {base}/server.crt;
  ssl_certificate_key {base}/server.key;
  keepalive_requests 1000000;
  server {{
    listen {server}:443 ssl http2;
    server_name {name};
    root {base}/www;
    if ($http_x_api_key != "{value}") {{ return 401; }}
  }}
  upstream server {{ server {server}:443; keepalive 16; }}
  server {{
    listen {peer}:443 ssl http2;
    server_name {name};
    location / {{
      proxy_pass https://server;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host {name};
      proxy_set_header x-api-key {value};
      proxy_ssl_name {name};
      proxy_ssl_server_name on;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {base}/ca.crt;
    }}
  }}
}}
"""
KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


class Nginx(egress.Nginx):
    """The server and the peer, with a certificate that this instance's egress trusts."""

    def __init__(self, lab):
        super().__init__(lab)
        base = self.base
        for line in (
            f"req -x509 {KEY} -days 2 -subj /CN=bench -keyout {base}/ca.key -out {base}/ca.crt",
            f"req {KEY} -subj /CN=server -addext subjectAltName=DNS:{NAME} -keyout {base}/server.key -out {base}/server.csr",
            f"x509 -req -in {base}/server.csr -CA {base}/ca.crt -CAkey {base}/ca.key -CAcreateserial -days 2"
            f" -copy_extensions copyall -out {base}/server.crt",
        ):
            lab.run(["openssl", *line.split()])
        with open(f"{base}/nginx.conf", "w", encoding="utf-8") as out:
            out.write(NGINX.format(base=base, server=SERVER, peer=PEER, name=NAME, value=VALUE))
        shutil.copy(f"{base}/ca.crt", lab.trusted)


def prepare(lab):
    etc = os.path.join(lab.dir, "etc")
    os.makedirs(f"{etc}/templates", exist_ok=True)
    with open(f"{etc}/config.toml", "w", encoding="utf-8") as out:
        out.write(CONFIG)
    with open(f"{etc}/templates/keyed.toml", "w", encoding="utf-8") as out:
        out.write(TEMPLATE)
    argv = lab.argv("secret", "set", "bench")
    subprocess.run(argv, env=lab.env, input=VALUE.encode(), check=True, capture_output=True)
    lab.agent("keyed", "keyed")

    # The peer needs no value: it sets its own. Direct has it.
    keyed = egress.CLIENT.replace("\\r\\n\\r\\n\".encode()", "\\r\\nx-api-key: {key}\\r\\n\\r\\n\".encode()")
    keyed = keyed.replace("buffer =", "import os; key = os.environ['BENCH_KEY']\nbuffer =")

    def client(address, what):
        argv = ["python3", "-c", keyed, what, address, NAME, str(REQUESTS)]
        argv = lab.argv("exec", "keyed", "--", *argv) if address == NAME else ["env", f"BENCH_KEY={VALUE}", *argv]
        return json.loads(lab.run(argv))

    lab.until(
        "the server and the ways to it", lambda: all(egress.answers(client, at) for at in (SERVER, PEER, NAME))
    )
    return client


def egress_inject(lab):
    if not shutil.which("nginx"):
        return [lab.entry("egress_inject", None, "nginx https", None, "MB/s", "≥ 0.9", 0, "nginx is not installed")]
    with Nginx(lab):
        client = prepare(lab)
        ours, theirs = lab.alternate(lambda: client(NAME, "big"), lambda: client(PEER, "big"), RUNS)
        direct = statistics.median(client(SERVER, "big") for _ in range(RUNS))
        kept = {at: statistics.median(client(at, "kept")) * 1e3 for at in (NAME, PEER, SERVER)}
        lab.wsm("rm", "--purge", "keyed")
    rate = lambda seconds: BIG / seconds / 1e6
    note = (
        f"TLS ends and begins again, 256 MiB; direct {rate(direct):,.0f} MB/s, of which wsm reaches {direct / ours:.2f}; "
        f"a small request on a kept connection {kept[NAME]:.2f} ms, nginx {kept[PEER]:.2f}, direct {kept[SERVER]:.2f}"
    )
    return [lab.entry("egress_inject", rate(ours), "nginx https", rate(theirs), "MB/s", "≥ 0.9", RUNS, note)]
