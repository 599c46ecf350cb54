// Questions of a real Claude Code: seen whole, answered from a phone, and taken for an answer.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Person } from "./people.mjs";
import { COMMIT, UPGRADE } from "./shop.mjs";
import { until } from "./wait.mjs";

/** Claude Code takes its time to start, on a machine that does other things too. */
const STARTS = 90_000;

export function questions(shared) {
  test("a real Claude Code's questions are approved from a phone: the change by its diff, the command on the list", async () => {
    const { instance } = shared;
    instance.agent("shop-api-discounts", "claude", "--prompt", "Make the total respect discounts");
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    const needing = page.getByRole("region", { name: "Needs you" }).getByRole("listitem").filter({ hasText: "discounts" });
    await needing.getByText("Wants to use Edit").waitFor({ timeout: STARTS });
    // The list has no button for what is not seen whole there.
    assert.equal(await needing.getByRole("button", { name: "Approve" }).count(), 0);
    await needing.getByRole("link", { name: "See the change" }).tap();
    const card = page.getByRole("region", { name: "Wants to use Edit" });
    await card.getByText("return sum(item.price * (1 - item.discount) for item in items)").waitFor();
    await card.getByText("return sum(item.price for item in items)").waitFor();
    await person.isAccessible("a question");
    await card.getByRole("button", { name: "Approve" }).tap();
    await page.getByRole("region", { name: "Wants to use Bash" }).waitFor();
    await page.getByRole("link", { name: "All agents" }).tap();
    await needing.getByText("Wants to use Bash").waitFor();
    assert.equal((await needing.locator("code").textContent()).trim(), COMMIT);
    await needing.getByRole("button", { name: "Approve" }).tap();
    await needing.waitFor({ state: "detached" });
    const agent = () => instance.json("ls").find((it) => it.name === "shop-api-discounts");
    const git = (...args) => execFileSync("git", ["-C", instance.repository, ...args], { encoding: "utf8" });
    await until("the commit is on the branch outside", () => git("log", "-1", "--format=%s", agent().branch).trim() === "cart: discounts", 60_000);
    await page.getByRole("link", { name: /discounts/ }).getByText("Idle").waitFor({ timeout: 60_000 });
    const answers = instance.wsm("--json", "audit", "query", "--subject", agent().id, "--verb", "question.answered").trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(answers.map((row) => [row.actor, row.after, row.via.split(":")[0]]), [["root", "approved", "device"], ["root", "approved", "device"]]);
    await person.leave();
  });

  test("denied with a reason from a phone: the agent is told why, and the link of a notification leads to the question", async () => {
    const { instance } = shared;
    instance.agent("shop-deps", "claude", "--prompt", "Update the dependencies");
    const question = await until("a question", () => instance.json("ls").find((it) => it.name === "shop-deps").questions?.[0], STARTS);
    const person = await Person.come(shared.browser, instance, "phone");
    await person.pair();
    const { page } = person;
    await person.open(`#/agents/shop-deps?question=${question.id}&answer=deny`);
    const card = page.getByRole("region", { name: "Wants to use Bash" });
    assert.equal((await card.getByLabel("The exact command").textContent()).trim(), UPGRADE);
    await card.getByRole("button", { name: "Deny and say why" }).tap();
    await card.getByLabel("What to tell the agent").fill("not this week");
    await card.getByRole("button", { name: "Deny, and say so" }).tap();
    await page.getByText("That question was answered, or is over.").waitFor();
    await until("the model is told why", () => instance.model.heard.includes("not this week"), 60_000);
    await page.getByText("Idle").first().waitFor({ timeout: 60_000 });
    await person.leave();
  });

  test("a question stands though somebody looks from windows of other sizes", async () => {
    const { instance } = shared;
    instance.agent("shop-deps-again", "claude", "--prompt", "Update the dependencies");
    const agent = () => instance.json("ls").find((it) => it.name === "shop-deps-again");
    await until("a question", () => agent().questions?.[0], STARTS);
    const person = await Person.come(shared.browser, instance, "desktop");
    await person.pair();
    await person.terminal("shop-deps-again", "main", "Do you want to proceed");
    // Longer than the daemon waits before it takes a terminal that goes on for an answer.
    for (let turn = 0; turn < 7; turn += 1) {
      await person.page.setViewportSize({ width: 1000 + turn * 60, height: 700 + turn * 20 });
      await person.page.waitForTimeout(2_200);
    }
    assert.deepEqual([agent().state, agent().questions.length], ["blocked", 1], agent().reason);
    await person.leave();
  });

  test("list and approve load 30 KB of JavaScript at most, a terminal 160 KB", async () => {
    const { instance } = shared;
    const dist = new URL("../dist", import.meta.url).pathname;
    const loaded = async (hash, seen) => {
      const person = await Person.come(shared.browser, instance, "phone", { serviceWorkers: "block" });
      await person.pair();
      // What signing in took is not loaded by who is in.
      await person.page.goto("about:blank");
      await person.open(hash);
      await person.page.locator(seen).first().waitFor();
      const paths = await person.page.evaluate(() => performance.getEntriesByType("resource").map((it) => new URL(it.name).pathname).filter((it) => it.endsWith(".js")));
      await person.leave();
      return [...new Set(paths)].reduce((sum, path) => sum + gzipSync(readFileSync(dist + path), { level: 9 }).length, 0) / 1024;
    };
    const list = await loaded("#/", ".list");
    const approve = await loaded("#/agents/shop-deps-again?question=1", ".question");
    const terminal = await loaded("#/agents/billing/terminal", ".xterm-screen");
    console.log(`# JavaScript, gzip: list ${list.toFixed(1)} KB, approve ${approve.toFixed(1)} KB, terminal ${terminal.toFixed(1)} KB`);
    assert.ok(list <= 30 && approve <= 30 && terminal <= 160, `${list}, ${approve} and ${terminal} KB`);
  });
}
