"""From the journal row of a state to the request at a push service, after the dwell."""

import datetime
import http.server
import json
import os
import ssl
import statistics
import subprocess
import threading
import time

DWELL_MS = 2000
RUNS = 15
KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
# RFC 8291, appendix A: nothing is opened here.
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
TEMPLATE = """schema = 1
name = "fails"
description = "fails when told to"
[agent]
kind = "command"
command = ["sh", "-c", "read line; exit 3"]
"""


class Service:
    """A push service that takes everything, and when."""

    def __init__(self, lab):
        base = os.path.join(lab.base, "push")
        os.mkdir(base)
        for line in (
            f"req -x509 {KEY} -days 2 -subj /CN=push -keyout {base}/ca.key -out {base}/ca.crt",
            f"req {KEY} -subj /CN=server -addext subjectAltName=DNS:localhost -keyout {base}/key -out {base}/csr",
            f"x509 -req -in {base}/csr -CA {base}/ca.crt -CAkey {base}/ca.key -CAcreateserial -days 2"
            f" -copy_extensions copyall -out {base}/crt",
        ):
            lab.run(["openssl", *line.split()])
        with open(lab.trusted, "a", encoding="utf-8") as out:
            out.write(open(f"{base}/ca.crt", encoding="utf-8").read())
        times = self.times = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                times.append(time.time() * 1000)
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{base}/crt", f"{base}/key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def prepare(lab, service):
    etc = os.path.join(lab.dir, "etc")
    os.makedirs(f"{etc}/templates", exist_ok=True)
    with open(f"{etc}/config.toml", "a", encoding="utf-8") as out:
        out.write(
            f'\n[notify]\npush = ["localhost:{service.port}"]\n'
            'permit = [{ names = ["localhost"], cidr = "127.0.0.0/8" }, { names = ["localhost"], cidr = "::1/128" }]\n'
        )
    with open(f"{etc}/templates/fails.toml", "w", encoding="utf-8") as out:
        out.write(TEMPLATE)
    lab.wsm("notify", "rules", "--on", "failed", "--dwell", "2s", "--cooldown", "1s")
    body = json.dumps({"endpoint": f"https://localhost:{service.port}/x", "keys": KEYS})
    socket = os.path.join(lab.memory, "wsm.sock")
    url = "http://wsm/v1/push/subscriptions"
    subprocess.run(
        ["curl", "-sSf", "--unix-socket", socket, "-d", body, url], check=True, capture_output=True, env=lab.env
    )
    lab.agent("failing", "fails")


def failed_ms(lab):
    """When the newest row says that it failed."""
    told = json.loads(lab.wsm("explain", "failing", "--json"))
    rows = [row for row in told["evidence"] if row["verb"] == "agent.state" and row["message"].startswith("failed")]
    at = max(row["at"] for row in rows)
    return datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000


def push_handoff(lab):
    service = Service(lab)
    prepare(lab, service)
    taken = []
    for run in range(RUNS + 1):
        before = len(service.times)
        lab.wsm("send", "failing", "now")
        lab.wsm("wait", "failing", "--until", "failed", "--timeout", "30s")
        lab.until("the push", lambda: len(service.times) > before)
        # The first looks up, and reads whom this host trusts.
        if run > 0:
            taken.append(service.times[-1] - failed_ms(lab) - DWELL_MS)
        lab.wsm("start", "failing")
        lab.wsm("wait", "failing", "--until", "working,idle", "--timeout", "30s")
    lab.wsm("rm", "--purge", "failing")
    service.server.shutdown()
    note = f"with TLS to loopback, after a dwell of {DWELL_MS // 1000} s; the slowest {max(taken):.1f} ms"
    return [lab.entry("push_handoff", statistics.median(taken), "", None, "ms", "≤ 50", RUNS, note)]
