"""What an agent notices of a hog beside it: the time of a request to its own server."""

import http.client
import json
import os
import signal
import statistics
import subprocess
import time

# A page behind a published port, without any limit but the host's.
TEMPLATE = """schema = 1
name = "page"
description = "A page on a port"
[agent]
kind = "shell"
wait_for = ["web"]
[services.web]
command = ["python3", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1"]
ready = { http = "web", timeout = "20s" }
[ports]
web = { inside = 8000, protocol = "http" }
"""
HOGS = {
    "cpu": "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait",
    "memory": "while :; do python3 -c 'hold = []\nwhile True: hold.append(bytearray(16 << 20))'; done",
    "fork": "b() { b | b & }; b; sleep 1000",
}
ROUNDS = 5
REQUESTS = 201
# A hog grows to its full size, and wsm to its measures against it.
GROWTH = 3.0


def neighbour(lab):
    templates = os.path.join(lab.dir, "etc", "templates")
    os.makedirs(templates, exist_ok=True)
    with open(os.path.join(templates, "page.toml"), "w", encoding="utf-8") as out:
        out.write(TEMPLATE)
    lab.agent("quiet", "page")
    lab.agent("hog")
    ports = json.loads(lab.wsm("ports", "--json"))
    port = next(
        port["outside"] for agent in ports if agent["name"] == "quiet" for port in agent["ports"]
    )
    results = []
    for name, script in HOGS.items():
        alone, beside, slow = [], [], []
        for _ in range(ROUNDS):
            times = request_times(port)
            alone.append(statistics.median(times))
            with_hog = beside_hog(lab, script, port)
            beside.append(statistics.median(with_hog))
            slow.append(sorted(with_hog)[int(len(with_hog) * 0.95)])
        a, b = statistics.median(beside), statistics.median(alone)
        note = f"{REQUESTS} requests a round; 95th percentile beside it {statistics.median(slow) * 1e3:.2f} ms"
        results.append(
            lab.entry(f"neighbour_{name}", a * 1e3, "the same agent alone", b * 1e3, "ms", "≤ 1.1", ROUNDS, note)
        )
    for agent in ("quiet", "hog"):
        lab.wsm("rm", "--purge", agent)
    return results


def beside_hog(lab, script, port):
    argv = lab.argv("exec", "hog", "--", "bash", "-c", script)
    hog = subprocess.Popen(
        argv, env=lab.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(GROWTH)
        return request_times(port)
    finally:
        lab.wsm("stop", "hog")
        hog.send_signal(signal.SIGKILL)
        hog.wait(30)
        lab.wsm("start", "hog")


def request_times(port):
    def one():
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/src/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the neighbour answered {answer.status}")
        return time.perf_counter() - begun

    times = []
    for _ in range(REQUESTS):
        times.append(one())
        time.sleep(0.005)  # a person's browser, not a flood
    return times
