import { expect, test } from "vitest";
import type { Share, Whoami } from "../src/api/api.gen";
import { administers, may, owns } from "../src/model/rights";
import { agent } from "./agents.test";

const who = (user: string, scope: string, role = "member"): Whoami => ({ user, role, scope, via: "device:1", address: "" });
const share = (user: string, role: string, expired = false): Share => ({ user, role, by: "ann", since: "", expires: "", expired });

test("an owner owns, as far as the way in reaches", () => {
  expect(owns(agent("a"), who("ann", "own"))).toBe(true);
  expect(owns(agent("a"), who("ann", "drive"))).toBe(false);
  expect(owns(agent("a"), who("bob", "own"))).toBe(false);
  expect(owns(agent("a"), who("bob", "admin", "admin"))).toBe(true);
  expect(owns(agent("a"), null)).toBe(false);
});

test("a share is as much as it says, until it ends", () => {
  const bob = who("bob", "own");
  expect(may("driver", agent("a"), bob)).toBe(false);
  expect(may("driver", agent("a"), bob, [share("bob", "driver")])).toBe(true);
  expect(may("driver", agent("a"), bob, [share("bob", "approver")])).toBe(false);
  expect(may("approver", agent("a"), bob, [share("bob", "approver")])).toBe(true);
  expect(may("approver", agent("a"), bob, [share("bob", "driver", true)])).toBe(false);
  expect(may("driver", agent("a"), who("ann", "approve"))).toBe(false);
});

test("an administrator's token of a lesser scope does not administer", () => {
  expect(administers(who("root", "admin", "admin"))).toBe(true);
  expect(administers(who("root", "own", "admin"))).toBe(false);
});
