// What the agents of the stories work on: a small shop, and a template that serves it.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Model } from "./model.mjs";

/** A template whose service prints and whose page can be looked at. */
export const SITE = `schema = 1
name = "site"
description = "A shell, a small web server and a choice or two"

[params.task]
type = "string"
default = ""

[params.workers]
description = "Processes that serve"
type = "int"
default = 2

[params.colour]
choices = ["red", "green"]
required = true

[params.verbose]
type = "bool"
default = false

[agent]
kind = "shell"

[env]
COLOUR = "{param.colour}"
WORKERS = "{param.workers}"
VERBOSE = "{param.verbose}"

[services.web]
command = ["python3", "-u", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1"]
ready = { http = "web", timeout = "30s" }

[ports]
web = { inside = 8000, protocol = "http" }
`;

const FILES = {
  "index.html": "<!doctype html>\n<title>Shop</title>\n<p>Welcome.\n",
  "cart.py": `"""A cart: what somebody wants to buy."""


def total(items):
    return sum(item.price for item in items)


def describe(items):
    return f"{len(items)} items, {total(items):.2f}"
`,
  "test_cart.py": `import unittest
from types import SimpleNamespace as Item

from cart import total


class Totals(unittest.TestCase):
    def test_sums_prices(self):
        self.assertEqual(total([Item(price=2), Item(price=3)]), 5)


if __name__ == "__main__":
    unittest.main()
`,
};

/** Makes the repository. */
export function repository(path) {
  mkdirSync(path);
  const git = (...args) => execFileSync("git", ["-C", path, ...args], { stdio: "pipe" });
  git("init", "-q", "-b", "main");
  git("config", "user.name", "Demo Person");
  git("config", "user.email", "demo@example.com");
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(path, name), text);
  git("add", "-A");
  git("commit", "-q", "-m", "a shop");
  return path;
}

/** What real Claude Codes are told to do, and what they do then. */
const TASKS = {
  "Make the total respect discounts": [
    { say: "I’ll look at the cart first.", use: (at) => ["Read", { file_path: `${at}/cart.py` }] },
    {
      say: "A discount is a fraction of the price, so the sum has to take it off each item.",
      use: (at) => [
        "Edit",
        {
          file_path: `${at}/cart.py`,
          old_string: "    return sum(item.price for item in items)\n",
          new_string: "    return sum(item.price * (1 - item.discount) for item in items)\n",
        },
      ],
    },
    { say: "Now it is kept.", use: () => ["Bash", { command: COMMIT, description: "Commit the change" }] },
    { say: "The total respects discounts now, and it is committed." },
  ],
  "Update the dependencies": [
    {
      say: "There is one.",
      use: () => ["Bash", { command: UPGRADE, description: "Upgrade requests" }],
    },
    { say: "I leave the dependencies as they are." },
  ],
};

/** For `Instance.start`: real Claude Codes find a model that does these. */
export async function withModel(directory) {
  const model = await Model.start(join(directory, "model"));
  for (const [words, steps] of Object.entries(TASKS)) model.task(words, steps);
  return { model, config: model.config, env: { SSL_CERT_FILE: model.authority } };
}

export const COMMIT = "git commit -qam 'cart: discounts'";
export const UPGRADE = "pip install --upgrade requests && pip freeze > requirements.txt";
