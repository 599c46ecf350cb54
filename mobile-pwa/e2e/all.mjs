// Every story, with a real wsm, real agents and a real browser. Root; `npm run e2e`.
import { after, before, describe } from "node:test";
import { bringing } from "./bringing.mjs";
import { launch } from "./browser.mjs";
import { coming } from "./coming.mjs";
import { desk } from "./desk.mjs";
import { Instance } from "./instance.mjs";
import { living } from "./living.mjs";
import { looks } from "./looks.mjs";
import { loads } from "./loads.mjs";
import { making } from "./making.mjs";
import { network } from "./network.mjs";
import { push } from "./push.mjs";
import { questions } from "./questions.mjs";
import { withModel } from "./shop.mjs";
import { terminals } from "./terminals.mjs";

const shared = {};

before(async () => {
  shared.instance = await Instance.start(withModel);
  shared.instance.agent("shop-api-refactor");
  shared.instance.agent("shop-web-cart", "site", "--set", "colour=red");
  shared.instance.agent("billing");
  shared.instance.agent("docs-index");
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
describe("questions", () => questions(shared));
describe("coming", () => coming(shared));
describe("making", () => making(shared));
describe("living", () => living(shared));
describe("bringing", () => bringing(shared));
describe("desk", () => desk(shared));
describe("network", () => network(shared));
describe("loads", () => loads(shared));
describe("push", push);
