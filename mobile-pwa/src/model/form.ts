// A template's parameters as fields of a form.

import type { NewAgent, Param } from "../api/api.gen";

export type Values = Record<string, string>;

export const initial = (params: readonly Param[]): Values =>
  Object.fromEntries(params.map((param) => [param.name, param.default ?? (param.type === "bool" ? "false" : "")]));

/** What is wrong with a field; empty: nothing. The daemon looks again. */
export function wrong(param: Param, value: string): string {
  if (value === "") return param.required ? "This is needed." : "";
  if (param.type === "int" && !/^-?\d+$/.test(value)) return "A whole number.";
  if (param.choices.length > 0 && !param.choices.includes(value)) return `One of: ${param.choices.join(", ")}.`;
  return "";
}

/** What differs from the template's own values. */
export function settings(params: readonly Param[], values: Values): Record<string, string> {
  const start = initial(params);
  const changed = params.filter(({ name }) => (values[name] ?? "") !== start[name]);
  return Object.fromEntries(changed.map(({ name }) => [name, values[name] ?? ""]));
}

export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

export function wrongName(name: string): string {
  if (name === "") return "";
  return NAME.test(name) && !name.includes("--") ? "" : "Small letters, digits and single dashes, 40 at most.";
}

export interface Filled {
  template: string;
  repository: string;
  name: string;
  prompt: string;
  base: string;
  set: Record<string, string>;
}

export function request({ template, repository, name, prompt, base, set }: Filled): NewAgent {
  return {
    // A registered repository needs none.
    grant: "",
    template,
    repository,
    set,
    ...(name ? { name } : {}),
    ...(prompt.trim() ? { prompt: prompt.trim() } : {}),
    ...(base.trim() ? { base: base.trim() } : {}),
  };
}
