import { expect, test } from "vitest";
import { PLACES_MAX, add, columns, first, others, standing } from "../src/model/desk";
import { joined } from "../src/model/shared";
import { agent } from "./agents.test";

const place = (agent: string, terminal = "main") => ({ agent, terminal });

test("the desk begins with the first that run, and keeps what was chosen", () => {
  const all = [agent("a"), { ...agent("b"), state: "stopped" as const }, { ...agent("c"), terminals: ["main", "shell-1"] }];
  const by = new Map(all.map((it) => [it.id, it]));
  const [a, b, c] = all.map((it) => it.id) as [string, string, string];
  expect(first(all)).toEqual([place(a), place(c)]);
  expect(others(all, [place(a)])).toEqual([place(c), place(c, "shell-1")]);
  // One that is stopped keeps its place; a shell that was closed and an agent that is gone don't.
  expect(standing([place(b), place(c, "shell-2"), place("gone"), place(a)], by)).toEqual([place(b), place(a)]);
});

test("no terminal twice, and no more than fit", () => {
  const one = add([], place("a"));
  expect(add(one, place("a"))).toEqual(one);
  const full = Array.from({ length: PLACES_MAX }, (_, at) => place(`a${at}`));
  expect(add(full, place("b"))).toEqual(full);
  expect([1, 2, 4, 5, 9].map(columns)).toEqual([1, 2, 2, 3, 3]);
});

test("what is shared says everything once", () => {
  expect(joined("Title", "see https://example.org/a", "https://example.org/a")).toBe("Title\nsee https://example.org/a");
  expect(joined(null, "  ", "")).toBe("");
  expect(joined("a".repeat(30_000), null, null)).toHaveLength(20_000);
});
