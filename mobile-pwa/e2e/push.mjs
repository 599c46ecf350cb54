// Rung up: by a real push in Firefox, and on a phone with buttons.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ASKS } from "./asks.mjs";
import { launch } from "./browser.mjs";
import { Firefox } from "./firefox.mjs";
import { Instance } from "./instance.mjs";
import { Phone } from "./phone.mjs";
import { PushService } from "./service.mjs";
import { until } from "./wait.mjs";

export function push() {
  let service;
  let instance;
  let browser;

  before(async () => {
    instance = await Instance.start(async (directory) => {
      service = await PushService.start(directory);
      return { config: service.config, templates: { asks: ASKS }, env: { SSL_CERT_FILE: service.authority } };
    });
    instance.wsm("notify", "rules", "--dwell", "2s", "--cooldown", "1s");
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await instance?.stop();
    await service?.stop();
  });

  /** An agent that wants to run this. */
  const asking = (name, command) => {
    instance.agent(name, "asks");
    instance.wsm("wait", name, "--until", "idle");
    instance.wsm("send", name, command);
  };

  test("Firefox subscribes, is rung up, opens what it got, and a click leads to the question", async () => {
    const firefox = await Firefox.launch(instance.base, { "dom.push.serverURL": service.url });
    try {
      await enrols(firefox);
      asking("fix-login", "echo ran-$((40+2))");
      const shown = await drawn(firefox, (it) => it.title === "fix-login needs you");
      assert.match(shown.body, /Bash `echo ran/);
      assert.deepEqual(shown.actions, ["approve", "deny"]);
      const [message] = service.messages.filter((it) => it.topic === shown.tag);
      assert.deepEqual([message.urgency, message.ttl > 3_000, message.body.includes("fix-login")], ["high", true, false]);
      await until("the browser to say that it could read it", () => said(message) === 100);

      await firefox.clickNotification("fix-login needs you");
      await until("the right agent", () => firefox.evaluate(() => location.hash.startsWith("#/agents/fix-login?question=")));
      await firefox.find("//section[@class='question']//pre[contains(., 'echo ran-')]");
      await firefox.click("//section[@class='question']//button[contains(., 'Approve') and not(@disabled)]");
      await until("it to run", () => screen("fix-login").includes("\nran-42"));
      await drawn(firefox, (it) => it.tag === shown.tag && it.body === "answered by root");
      await opensAPage(firefox);
      await refusesWhatWasChanged();
    } finally {
      await firefox.stop();
    }
  });

  /** With no page of ours open, a click opens one. */
  async function opensAPage(firefox) {
    await firefox.goto("about:blank");
    asking("fix-logout", "echo never");
    await firefox.clickNotification("fix-logout needs you");
    const place = `${instance.url}/#/agents/fix-logout?question=`;
    await until("a new page", async () => (await firefox.pages()).some((url) => url.startsWith(place)));
  }

  /** What was changed on the way is nothing that a browser can read. */
  async function refusesWhatWasChanged() {
    const before = service.messages.length;
    service.garbles = true;
    instance.wsm("notify", "test");
    const message = await until("a message", () => service.messages[before]);
    await until("the browser to say that it could not read it", () => said(message) === 101);
    service.garbles = false;
  }

  const said = ({ version }) => service.acknowledged.find((it) => it.version === version)?.code;

  test("on a phone: a button answers what is seen whole, and what was answered elsewhere is set right", async () => {
    const phone = await Phone.come(browser, instance, service, instance.token("own"));
    asking("billing", "echo whole-$((40+2))");
    const shown = await phone.shows("billing asks", (it) => it.title === "billing needs you");
    assert.deepEqual(shown.actions.map((it) => it.action), ["approve", "deny"]);
    declares(phone.rings.at(-1), instance.url);
    await phone.press(shown.tag, "approve");
    await until("it to run", () => screen("billing").includes("\nwhole-42"));
    // Said without a sound; where it has finished meanwhile, that stands there instead.
    const answered = (asked) => (it) => it.tag === asked.tag && it.data.seq > asked.data.seq;
    const over = await phone.shows("that it was answered", answered(shown));
    assert.deepEqual([over.silent, over.actions], [over.body === "answered by root", []]);
    const [row] = instance.rows("question.answered").slice(-1);
    assert.deepEqual([row.actor, row.after], ["root", "approved"]);
    assert.match(row.via, /^device/);

    // Answered at a desk: what stands on the phone is replaced.
    asking("refunds", "echo desk");
    const asked = await phone.shows("refunds asks", (it) => it.title === "refunds needs you");
    instance.wsm("approve", "refunds", "--question", asked.data.question);
    await phone.shows("that it was answered", answered(asked));
    await phone.leave();
  });

  test("on a phone: what is not seen whole is confirmed where it is, and a no is a no at once", async () => {
    const phone = await Phone.come(browser, instance, service, instance.token("own"));
    asking("long", `echo ${"many-words ".repeat(30)}`);
    const shown = await phone.shows("long asks", (it) => it.title === "long needs you");
    await phone.press(shown.tag, "approve");
    await phone.page.waitForURL(/#\/agents\/long\?question=.*&answer=approve$/);
    const card = phone.page.getByRole("region", { name: "Wants to use Bash" });
    await card.getByText("many-words ".repeat(30).trim()).waitFor();
    assert.equal(instance.json("ls").find((it) => it.name === "long").state, "blocked");
    await card.getByRole("button", { name: "Approve" }).tap();
    await until("it to run", () => screen("long").includes("\nmany-words"));

    asking("short", "echo never");
    const { tag } = await phone.shows("short asks", (it) => it.title === "short needs you");
    await phone.press(tag, "deny");
    await until("it to be denied", () => screen("short").includes("denied: echo never"));
    await phone.leave();
  });

  test("on a phone: who looks is not rung up, who has left the page open is", async () => {
    const phone = await Phone.come(browser, instance, service, instance.token("own"));
    await phone.page.clock.install();
    instance.agent("left", "asks");
    const looked = phone.page.waitForResponse((answer) => answer.url().endsWith("/v1/visible"));
    await phone.person.open("#/agents/left");
    await looked;
    instance.wsm("wait", "left", "--until", "idle");
    instance.wsm("send", "left", "echo never");
    instance.wsm("wait", "left", "--until", "blocked");
    // Whoever asks after it is told of first.
    asking("next", "echo never");
    await phone.shows("next asks", (it) => it.title === "next needs you");
    assert.ok(!phone.rings.some((it) => it.notification.title === "left needs you"));
    await phone.page.clock.fastForward(120_000);
    await phone.shows("left asks", (it) => it.title === "left needs you");
    await phone.leave();
  });

  const screen = (agent) => instance.json("capture", agent).text;

  /** By its own pages, as a person does it. */
  async function enrols(firefox) {
    await firefox.goto(instance.url);
    await firefox.type("//input[@id=//label[contains(., 'Token')]/@for or ancestor::label[contains(., 'Token')]]", instance.token("own"));
    await firefox.click("//button[contains(., 'Sign in')]");
    await firefox.find("//h1[contains(., 'Agents')] | //nav[@aria-label='Agents']");
    await firefox.goto(`${instance.url}/#/settings`);
    await firefox.click("//button[contains(., 'Turn on')]");
    await firefox.find("//p[contains(., 'This device is told.')]");
  }

  /** The form that iOS shows by itself: each button leads to a place, whatever a worker does. */
  function declares({ web_push, notification }, page) {
    assert.equal(web_push, 8030);
    const place = new RegExp(`^${page}/#/agents/billing\\?question=[\\w-]+$`);
    assert.match(notification.navigate, place);
    for (const { action, title, navigate } of notification.actions) {
      assert.equal(navigate, `${notification.navigate}&answer=${action}`);
      assert.ok(title);
    }
  }

  function drawn(firefox, fits) {
    const look = () =>
      firefox.evaluate(async () => {
        const all = await (await navigator.serviceWorker.ready).getNotifications();
        return all.map(({ title, body, tag, actions }) => ({ title, body, tag, actions: actions.map((it) => it.action) }));
      });
    return until("Firefox shows it", async () => (await look()).find(fits), 60_000);
  }
}
