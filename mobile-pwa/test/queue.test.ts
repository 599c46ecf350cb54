import { expect, test } from "vitest";
import { type Waiting, add, marked, next, without } from "../src/terminal/queue";

const waiting = (when: Waiting["when"]): Waiting => ({ id: "1", text: "go on", when });

test("what waits for idle goes out when it is", () => {
  expect(next([waiting("idle")], "working", true)).toBeUndefined();
  expect(next([waiting("idle")], "idle", true)?.id).toBe("1");
  expect(next([waiting("idle")], "blocked", true)).toBeUndefined();
});

test("nothing goes out while wsm is away", () => {
  expect(next([waiting("soon")], "working", false)).toBeUndefined();
  expect(next([waiting("soon")], "working", true)?.id).toBe("1");
});

test("what may have arrived stops those behind it until somebody says", () => {
  const queue = add([waiting("unsure")], "second", "soon");
  expect(next(queue, "idle", true)).toBeUndefined();
  expect(next(without(queue, "1"), "idle", true)?.text).toBe("second");
  expect(marked(queue, "1", "soon")[0]?.when).toBe("soon");
});
