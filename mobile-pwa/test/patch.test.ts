import { expect, test } from "vitest";
import { parse } from "../src/model/patch";

const PATCH = `diff --git a/cart.py b/cart.py
index 1..2 100644
--- a/cart.py
+++ b/cart.py
@@ -1,3 +1,3 @@ def total
 one
-two
+@@ two
 three
\\ No newline at end of file
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+diff --git a/x b/x
diff --git a/old name b/new name
rename from old name
rename to new name
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
`;

test("files, hunks and numbers", () => {
  const [cart, added, renamed, logo, ...rest] = parse(PATCH);
  expect(rest).toEqual([]);
  expect(cart).toMatchObject({ path: "cart.py", status: "changed", added: 1, removed: 1 });
  expect(cart?.hunks[0]?.head).toBe("def total");
  expect(cart?.hunks[0]?.lines.map((line) => [line.kind, line.before, line.after])).toEqual([
    ["same", 1, 1],
    ["removed", 2, 0],
    ["added", 0, 2],
    ["same", 3, 3],
    ["note", 0, 0],
  ]);
  expect(added).toMatchObject({ path: "new.txt", status: "added", added: 1 });
  expect(renamed).toMatchObject({ path: "new name", from: "old name", status: "renamed" });
  expect(logo?.status).toBe("binary");
});

test("a patch that was cut is shown as far as it goes", () => {
  expect(parse(PATCH.slice(0, 90))[0]?.path).toBe("cart.py");
  expect(parse("")).toEqual([]);
});

test("what an agent is about to write has no numbers", () => {
  const [edited, made, ...rest] = parse("--- /w/a.sql\n+++ /w/a.sql\n x\n--- y\n+++ z\n--- /dev/null\n+++ /w/b\n+new\n");
  expect(rest).toEqual([]);
  expect(edited).toMatchObject({ path: "/w/a.sql", status: "changed", added: 1, removed: 1 });
  // A line that looks like a head is a line: nothing is hidden by it.
  expect(edited?.hunks[0]?.lines.map((line) => [line.kind, line.text])).toEqual([
    ["same", "x"],
    ["removed", "-- y"],
    ["added", "++ z"],
  ]);
  expect(made).toMatchObject({ path: "/w/b", status: "added", added: 1 });
});
