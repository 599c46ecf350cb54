import { expect, test } from "vitest";
import type { Question } from "../src/api/api.gen";
import { WHOLE, fits } from "../src/model/asked";

const question = (more: Partial<Question>): Question => ({
  id: "1-1",
  kind: "permission",
  tool: "Bash",
  command: "npm test",
  detail: "",
  diff: "",
  since: "2026-01-01T00:00:00Z",
  answerable: true,
  confidence: "reported",
  ...more,
});

test("on the list only what is seen whole is answered", () => {
  expect(fits([question({})])).toBe(true);
  expect(fits([])).toBe(false);
  expect(fits([question({}), question({ id: "1-2" })])).toBe(false);
  expect(fits([question({ command: "" })])).toBe(false);
  expect(fits([question({ diff: "+x" })])).toBe(false);
  expect(fits([question({ command: "ls\nrm -rf ~" })])).toBe(false);
  expect(fits([question({ command: "x".repeat(WHOLE + 1) })])).toBe(false);
});
