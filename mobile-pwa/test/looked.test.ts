import { expect, test } from "vitest";
import { THERE_MS, lookedAt } from "../src/model/looked";

test("who is not there, or elsewhere, looks at nothing", () => {
  const shows = { page: "agent", parts: ["fix-login", "diff"] };
  expect(lookedAt(shows, true, 0)).toBe("fix-login");
  expect(lookedAt(shows, true, THERE_MS)).toBeNull();
  expect(lookedAt(shows, false, 0)).toBeNull();
  expect(lookedAt({ page: "agents", parts: [] }, true, 0)).toBeNull();
});
