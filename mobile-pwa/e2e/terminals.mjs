// Typing, from a desk and from a phone, and who of several may.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export function terminals(shared) {
  test("types at a desk and sees the echo", async () => {
    const person = await Person.come(shared.browser, shared.instance, "desktop");
    await person.signIn(shared.instance.token("own"));
    await person.terminal("shop-api-refactor");
    await person.type("echo desk-$((40+2))\n");
    await person.shows("desk-42");
    await person.leave();
  });

  test("writes from a phone: the terminal keeps its size, whatever the phone's is", async () => {
    const { instance } = shared;
    const size = () => {
      const told = JSON.parse(instance.wsm("--json", "capture", "billing"));
      return `${told.cols}x${told.rows}`;
    };
    const before = size();
    const person = await Person.come(shared.browser, instance, "phone");
    await person.signIn(instance.token("own"));
    await person.open("#/agents/billing/terminal");
    await person.shows("$");
    await person.page.getByRole("textbox", { name: "Message to billing" }).fill("echo phone-$((40+2))");
    await person.page.getByRole("button", { name: "Send", exact: true }).tap();
    await person.shows("phone-42");
    assert.equal(size(), before);
    // Directly, as a phone's keyboard does it: a word that is corrected after it was typed.
    await person.page.getByRole("button", { name: "Type directly" }).tap();
    const field = person.page.getByRole("textbox", { name: "Type directly into the terminal" });
    await field.pressSequentially("ehco ");
    await field.fill("echo corrected");
    await person.page.getByRole("button", { name: "Enter" }).tap();
    await person.shows("\ncorrected");
    // A screen that shrinks because a keyboard covers it is no other size of the terminal.
    await person.page.setViewportSize({ width: 390, height: 420 });
    await person.page.waitForTimeout(400);
    assert.equal(size(), before);
    await person.leave();
  });

  test("a row of keys: Control, arrows, interrupt", async () => {
    const person = await Person.come(shared.browser, shared.instance, "phone");
    await person.signIn(shared.instance.token("own"));
    await person.open("#/agents/billing/terminal");
    await person.shows("$");
    const press = (name) => person.page.getByRole("button", { name, exact: true }).tap();
    await person.page.getByRole("textbox", { name: "Message to billing" }).fill("sleep 60; echo over-$?");
    await press("Send");
    await person.shows("sleep 60");
    await press("^C, interrupt");
    await person.page.getByRole("textbox", { name: "Message to billing" }).fill("echo again-$((1+1))");
    await press("Send");
    await person.shows("again-2");
    await press("Up");
    await press("Enter");
    await until("the line from the history ran again", () =>
      JSON.parse(shared.instance.wsm("--json", "capture", "billing")).text.split("again-2").length > 2,
    );
    await person.leave();
  });

  test("what a program would copy gets to the clipboard by a tap", async () => {
    const { instance, browser } = shared;
    const permissions = ["clipboard-read", "clipboard-write"];
    const person = await Person.come(browser, instance, "desktop", { permissions });
    await person.signIn(instance.token("own"));
    await person.terminal("docs-index");
    const clipboard = () => person.page.evaluate(() => navigator.clipboard.readText());
    await person.page.evaluate(() => navigator.clipboard.writeText("mine"));
    // A query is not answered: what lies on the clipboard is nobody's business.
    await person.type("printf '\\033]52;c;?\\007'; printf '\\033]52;c;%s\\007' $(printf 'git log — one' | base64); cat -v\n");
    await person.page.getByText("wants to copy 15 B").waitFor();
    await person.page.getByText("git log — one", { exact: true }).waitFor();
    assert.equal(await clipboard(), "mine");
    await person.isAccessible("an offer to copy");
    await person.page.getByRole("button", { name: "Copy", exact: true }).click();
    await person.page.getByText("Copied", { exact: true }).first().waitFor();
    assert.equal(await clipboard(), "git log — one");
    assert.equal(await person.page.getByText("wants to copy").count(), 0);
    // cat -v would have shown an answer.
    await person.type("\x03echo end-$((1+1))\n");
    await person.shows("end-2");
    assert.doesNotMatch(JSON.parse(instance.wsm("--json", "capture", "docs-index")).text, /\]52;c;bWluZQ/);
    await person.leave();
  });

  test("one keyboard for two people: the second is told, asks, and gets it", async () => {
    const { instance, browser } = shared;
    const root = await Person.come(browser, instance, "desktop");
    const ann = await Person.come(browser, instance, "desktop");
    await root.signIn(instance.token("own"));
    await ann.signIn(instance.token("own", "--user", "ann"));
    await root.terminal("shop-api-refactor");
    await root.type("echo root-types\n");
    await root.shows("root-types");
    await ann.terminal("shop-api-refactor");
    await ann.page.getByText("root has the keyboard").first().waitFor();
    await ann.type("x");
    await ann.page.locator(".term-flash").getByText("has the keyboard").waitFor();
    await ann.page.getByRole("button", { name: "Ask for it" }).click();
    await root.page.getByRole("button", { name: "Give it" }).click();
    await root.page.getByText("ann has the keyboard").first().waitFor();
    // It is in the journal, so root was told wherever root looks.
    const [row] = instance.rows("lease.asked").slice(-1);
    assert.deepEqual([row.actor, row.before], ["ann", "root"]);
    await ann.type("echo ann-types\n");
    await ann.shows("ann-types");
    // What is its owner's can be taken back.
    await root.page.getByRole("button", { name: "Take it" }).click();
    await ann.page.getByText("root has the keyboard").first().waitFor();
    await root.leave();
    await ann.leave();
  });
}
