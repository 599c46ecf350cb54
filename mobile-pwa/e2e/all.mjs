// Every story, with a real wsm, real agents and a real browser. Root; `npm run e2e`.
import { after, before, describe } from "node:test";
import { launch } from "./browser.mjs";
import { Instance } from "./instance.mjs";
import { looks } from "./looks.mjs";
import { loads } from "./loads.mjs";
import { network } from "./network.mjs";
import { push } from "./push.mjs";
import { terminals } from "./terminals.mjs";

const shared = {};

before(async () => {
  shared.instance = await Instance.start();
  shared.instance.agent("shop-api-refactor");
  shared.instance.agent("shop-web-cart", "site");
  shared.instance.agent("billing");
  shared.instance.wsm("user", "add", "ann");
  shared.instance.wsm("share", "shop-api-refactor", "--with", "ann", "--role", "driver");
  shared.browser = await launch();
});

after(async () => {
  await shared.browser?.close();
  await shared.instance?.stop();
});

describe("looks", () => looks(shared));
describe("terminals", () => terminals(shared));
describe("network", () => network(shared));
describe("loads", () => loads(shared));
describe("push", push);
