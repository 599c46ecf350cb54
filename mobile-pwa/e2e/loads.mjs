// Much at once: many agents, a flood in a terminal, and a slow phone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";

/** `WSM_MANY=200 npm run e2e`: that many real agents. */
const MANY = Number(process.env.WSM_MANY ?? 0);

const STATES = ["working", "idle", "idle", "stopped", "blocked", "failed"];

/** As many agents as this, made from a real one. */
function many(real, count) {
  return Array.from({ length: count }, (_, at) => ({
    ...real,
    id: `made-${at}`,
    name: `team${at % 12}-area${at % 5}-task-${at}`,
    state: STATES[at % STATES.length],
    reason: `reason number ${at}, long enough that a phone has to cut it somewhere`,
  }));
}

export function loads(shared) {
  test("200 agents scroll smoothly", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    const token = shared.instance.token("own");
    if (MANY > 0) {
      // As many real ones, where somebody has the time: the feed is the daemon's.
      for (let at = 0; at < MANY; at += 1) shared.instance.agent(`team${at % 12}-area${at % 5}-task-${at}`);
    } else {
      const [real] = shared.instance.json("ls");
      await person.page.route("**/v1/feed*", (route) =>
        route.fulfill({ contentType: "text/event-stream", body: `event: agents\nid: 1\ndata: ${JSON.stringify(many(real, 200))}\n\n` }),
      );
    }
    await person.signIn(token);
    await person.page.getByText(`task-${(MANY || 200) - 1}`).first().waitFor({ state: "attached" });
    const gaps = await person.page.evaluate(async () => {
      const list = document.querySelector(".scroll");
      const gaps = [];
      let before = performance.now();
      for (let frame = 0; frame < 90; frame += 1) {
        list.scrollTop += 90;
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - before);
        before = performance.now();
      }
      return gaps.sort((a, b) => a - b);
    });
    const late = gaps[Math.floor(gaps.length * 0.95)];
    console.log(`# 200 agents: 95 of 100 frames within ${late.toFixed(0)} ms`);
    // A quiet machine takes 17 ms; this one may be building something.
    assert.ok(late < 150, `a frame took ${late} ms`);
    await person.leave();
  });

  test("a flood in a terminal does not freeze the page", async () => {
    const person = await Person.come(shared.browser, shared.instance, "desktop");
    await person.signIn(shared.instance.token("own"));
    await person.terminal("billing");
    await person.type("timeout 8 yes 0123456789012345678901234567890123456789012345678901234567890123456789\n");
    await person.shows("01234567890123");
    // Typed ahead: it comes when the flood is over.
    await person.type("echo over-$((40+2))\n");
    const longest = await person.page.evaluate(async () => {
      let [longest, before] = [0, performance.now()];
      const end = before + 3_000;
      while (performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        longest = Math.max(longest, performance.now() - before);
        before = performance.now();
      }
      return longest;
    });
    console.log(`# flood: the page was busy for ${longest.toFixed(0)} ms at most`);
    // Measured on two cores that built something else: 380 ms at a load of 13, 1,107 ms at 18.
    assert.ok(longest < 2_000, `the page was busy for ${longest} ms`);
    const clicked = Date.now();
    await person.page.getByRole("tab", { name: "Details" }).click();
    await person.page.getByRole("tab", { name: "Details", selected: true }).waitFor();
    assert.ok(Date.now() - clicked < 3_000, "a click is answered meanwhile");
    await person.page.getByRole("tab", { name: "Terminal" }).click();
    await person.shows("over-42");
    await person.leave();
  });

  test("on a slow phone the first useful paint comes soon", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    await person.signIn(shared.instance.token("own"));
    await person.page.getByRole("link", { name: /billing/ }).waitFor();
    await person.page.waitForFunction(() => localStorage.getItem("wsm.known")?.includes("billing"));
    const wire = await person.context.newCDPSession(person.page);
    await wire.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await person.page.reload({ waitUntil: "commit" });
    await person.page.getByRole("link", { name: /billing/ }).waitFor();
    const took = await person.page.evaluate(() => performance.getEntriesByName("list")[0].startTime);
    console.log(`# first useful paint with a four times slower processor: ${took.toFixed(0)} ms`);
    assert.ok(took < 3_000, `the list took ${took} ms`);
    await person.leave();
  });
}
