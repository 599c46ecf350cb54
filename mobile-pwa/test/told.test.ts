import { expect, test } from "vitest";
import { local, read } from "../sw/told";

test("a declarative push", () => {
  const told = read(
    JSON.stringify({
      web_push: 8030,
      notification: {
        title: "shop-api needs you",
        body: "npm publish",
        tag: "a1",
        renotify: true,
        navigate: "https://wsm.example.org/#/agents/shop-api?question=7",
        actions: [{ action: "approve", title: "Approve" }, { title: "nothing" }],
        data: { agent: "shop-api", question: "7" },
      },
      app_badge: "2",
    }),
  );
  expect(told).toEqual({
    badge: 2,
    notification: {
      title: "shop-api needs you",
      body: "npm publish",
      tag: "a1",
      renotify: true,
      actions: [{ action: "approve", title: "Approve" }],
      data: { agent: "shop-api", question: "7", navigate: "/#/agents/shop-api?question=7" },
    },
  });
});

test("one that can't be read is shown all the same", () => {
  expect(read(undefined).notification.title).toBe("wsm");
  expect(read("{")).toEqual({ badge: undefined, notification: { title: "wsm", body: "", data: { navigate: "/#/" } } });
});

test("a click stays within the app", () => {
  expect(local("https://elsewhere.example/x")).toBe("/#/");
  expect(local("javascript:alert(1)")).toBe("/#/");
  expect(local("/#/agents/a?question=1")).toBe("/#/agents/a?question=1");
});
