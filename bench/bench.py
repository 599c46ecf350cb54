#!/usr/bin/env python3
"""Measures wsm beside its peers, in one go, and writes bench.json (see --help)."""

import argparse
import json
import sys

import egress
import inject
from lab import Lab
import memory
import neighbour
import new
import push
import spawn
import terminal
import viewers
import websocket

# In the order of the table; each is a function of the lab that returns entries.
ENTRIES = {
    "spawn": spawn.spawn,
    "spawn_runc": spawn.spawn_runc,
    "spawn_srt": spawn.spawn_srt,
    "spawn_parallel": spawn.spawn_parallel,
    "new_small": new.new_small,
    "new_rate": new.new_rate,
    "echo_cli": terminal.echo_cli,
    "echo_ws": websocket.echo_ws,
    "echo_flood": viewers.echo_flood,
    "echo_ws_flood": viewers.echo_ws_flood,
    "bulk": terminal.bulk,
    "bulk_ws": websocket.bulk_ws,
    "viewers_50": viewers.viewers_50,
    "viewer_stalled_mem": viewers.viewer_stalled_mem,
    "reattach": viewers.reattach,
    "mem_terminal": memory.mem_terminal,
    "mem_shim": memory.mem_shim,
    "mem_daemon_50": memory.mem_daemon_50,
    "idle_cpu_500": memory.idle_cpu_500,
    "neighbour": neighbour.neighbour,
    "egress_throughput": egress.egress_throughput,
    "egress_latency": egress.egress_latency,
    "egress_inject": inject.egress_inject,
    "push_handoff": push.push_handoff,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="directory of wsm, wsm-sandbox and wsm-shim")
    parser.add_argument("--out", required=True, help="where the JSON goes")
    parser.add_argument("--only", default="", help="names or their beginnings, with commas")
    options = parser.parse_args()

    wanted = [name for name in options.only.split(",") if name]
    chosen = [name for name in ENTRIES if not wanted or any(name.startswith(w) for w in wanted)]
    if not chosen:
        parser.error(f"nothing is called {options.only}; there are {', '.join(ENTRIES)}")

    results = []
    with Lab(options.bin) as lab:
        for name in chosen:
            print(f"… {name}", file=sys.stderr, flush=True)
            try:
                results += ENTRIES[name](lab)
            except Exception as why:  # one broken entry must not hide the others
                results.append(lab.entry(name, None, "", None, "", None, 0, f"not measured: {why}"))
    with open(options.out, "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)
        out.write("\n")
    table(results)
    print(f"written to {options.out}")


def table(results):
    def figure(value):
        return "–" if value is None else f"{value:,.2f}"

    print(f"{'name':<16}{'wsm':>12}{'peer':>12} {'unit':<9}{'ratio':>7}  {'goal':<10} peer, note")
    for r in results:
        ratio = figure(r["ratio"])
        words = "; ".join(word for word in (r["peer"], r["note"]) if word)
        print(
            f"{r['name']:<16}{figure(r['wsm']):>12}{figure(r['peer_value']):>12} {r['unit']:<9}"
            f"{ratio:>7}  {r['goal'] or '–':<10} {words}"
        )


if __name__ == "__main__":
    main()
