import { expect, test } from "vitest";
import type { Event } from "../src/api/api.gen";
import { type Known, ROWS_KEPT, journal, reduce } from "../src/live/reduce";
import { agent } from "./agents.test";

const none: Known = new Map();

test("a snapshot replaces everything, and what did not change stays the same", () => {
  const before = reduce(none, { type: "agents", agents: [agent("a"), agent("b")] });
  const after = reduce(before, { type: "agents", agents: [agent("a"), agent("c")] });
  expect([...after.keys()]).toEqual(["a", "c"]);
  expect(after.get("a")).toBe(before.get("a"));
});

test("one that changed, and one that is gone", () => {
  const before = reduce(none, { type: "agents", agents: [agent("a")] });
  expect(reduce(before, { type: "agent", agent: agent("a") })).toBe(before);
  const worked = reduce(before, { type: "agent", agent: agent("a", "working") });
  expect(worked.get("a")?.state).toBe("working");
  expect(before.get("a")?.state).toBe("idle");
  expect(reduce(worked, { type: "gone", id: "a" }).size).toBe(0);
  expect(reduce(worked, { type: "gone", id: "x" })).toBe(worked);
});

test("rows are newest first, once each, and not without end", () => {
  const row = (seq: number): Event => ({ seq, at: "", actor: "ann", verb: "agent.created", subject: "a", message: "" });
  let rows: readonly Event[] = [];
  for (let seq = 1; seq <= ROWS_KEPT + 50; seq += 1) rows = journal(rows, row(seq));
  rows = journal(rows, row(ROWS_KEPT + 50));
  expect(rows).toHaveLength(ROWS_KEPT);
  expect(rows[0]?.seq).toBe(ROWS_KEPT + 50);
});
