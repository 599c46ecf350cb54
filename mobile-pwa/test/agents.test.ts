import { describe, expect, test } from "vitest";
import type { Agent, State } from "../src/api/api.gen";
import { counts, hue, matches, parts, sort } from "../src/model/agents";

export function agent(name: string, state: State = "idle", more: Partial<Agent> = {}): Agent {
  return {
    account: "ann",
    base: "",
    branch: `wsm/${name}`,
    created: "2026-01-01T00:00:00Z",
    id: name,
    kind: "shell",
    name,
    owner: "ann",
    ports: [],
    reason: "it waits",
    repository: "/src/shop",
    services: [],
    since: "2026-01-01T00:00:00Z",
    state,
    sync: { diverged: false, head: "", problem: "" },
    template: "shell",
    terminals: ["main"],
    trashed: false,
    workspace: "/w",
    ...more,
  };
}

describe("names", () => {
  test("three levels at most", () => {
    expect(parts("billing")).toEqual(["billing"]);
    expect(parts("shop-api-refactor")).toEqual(["shop", "api", "refactor"]);
    expect(parts("shop-api-fix-the-login")).toEqual(["shop", "api", "fix-the-login"]);
  });

  test("a group has one colour, never that of a state", () => {
    expect(hue("shop")).toBe(hue("shop"));
    for (const name of ["shop", "docs", "a", "b", "c", "billing"]) {
      expect(hue(name)).toBeGreaterThanOrEqual(175);
      expect(hue(name)).toBeLessThanOrEqual(330);
    }
  });
});

describe("order", () => {
  const names = (agents: Agent[]) => agents.map((it) => it.name);

  test("those that need somebody come first, those that wait longest at the top", () => {
    const sorted = sort([
      agent("b-x", "working"),
      agent("a-late", "blocked", { since: "2026-01-02T00:00:00Z" }),
      agent("c-broken", "failed"),
      agent("a-early", "blocked"),
      agent("gone", "blocked", { trashed: true }),
    ]);
    expect(names(sorted.needing)).toEqual(["a-early", "a-late", "c-broken"]);
    expect(sorted.groups).toHaveLength(1);
  });

  test("those without a group come last, together", () => {
    const { groups } = sort([agent("zoo"), agent("shop-web"), agent("billing"), agent("shop-api"), agent("docs"), agent("docs-search")]);
    expect(groups.map((group) => [group.name, names(group.agents)])).toEqual([
      ["docs", ["docs", "docs-search"]],
      ["shop", ["shop-api", "shop-web"]],
      ["", ["billing", "zoo"]],
    ]);
  });

  test("a search looks at all that is known", () => {
    const one = agent("shop-api", "blocked", { reason: "wants to run npm publish" });
    expect(matches(one, "")).toBe(true);
    expect(matches(one, "shop publish")).toBe(true);
    expect(matches(one, "needs you")).toBe(true);
    expect(matches(one, "shop nothing")).toBe(false);
    expect(sort([one, agent("docs")], "npm").needing).toHaveLength(1);
  });

  test("counts", () => {
    expect(counts([agent("a"), agent("b", "working"), agent("c", "lost")])).toMatchObject({ ready: 1, busy: 1, trouble: 1 });
  });
});
