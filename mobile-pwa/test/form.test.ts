import { expect, test } from "vitest";
import type { Param } from "../src/api/api.gen";
import { initial, request, settings, wrong, wrongName } from "../src/model/form";

const param = (name: string, type: string, more: Partial<Param> = {}): Param => ({
  name,
  type,
  default: null,
  choices: [],
  pattern: null,
  required: false,
  ...more,
});

const PARAMS = [param("task", "string", { required: true }), param("workers", "int", { default: "2" }), param("loud", "bool")];

test("only what was changed is sent", () => {
  const start = initial(PARAMS);
  expect(start).toEqual({ task: "", workers: "2", loud: "false" });
  expect(settings(PARAMS, start)).toEqual({});
  expect(settings(PARAMS, { ...start, workers: "3", loud: "true" })).toEqual({ workers: "3", loud: "true" });
});

test("what is wrong is told at once", () => {
  expect(wrong(PARAMS[0]!, "")).toBe("This is needed.");
  expect(wrong(PARAMS[1]!, "two")).toBe("A whole number.");
  expect(wrong(PARAMS[1]!, "-2")).toBe("");
  expect(wrong(param("level", "string", { choices: ["a", "b"] }), "c")).toBe("One of: a, b.");
  expect(wrongName("shop-api")).toBe("");
  expect(wrongName("Shop")).not.toBe("");
  expect(wrongName("a--b")).not.toBe("");
  expect(wrongName("-a")).not.toBe("");
});

test("a request has no empty fields", () => {
  const filled = { template: "node", repository: "shop", name: "", prompt: " fix it ", base: "", set: {} };
  expect(request(filled)).toEqual({ grant: "", template: "node", repository: "shop", set: {}, prompt: "fix it" });
});
