// A unified patch as files, hunks and numbered lines.

export interface Line {
  kind: "same" | "added" | "removed" | "note";
  text: string;
  /** Number before and after; 0 where it is not. */
  before: number;
  after: number;
}

export interface Hunk {
  head: string;
  lines: Line[];
}

export interface File {
  path: string;
  /** Where it was before, if that is another place. */
  from: string;
  status: "changed" | "added" | "removed" | "renamed" | "binary";
  hunks: Hunk[];
  added: number;
  removed: number;
}

export function parse(patch: string): File[] {
  return patch.startsWith("--- ") ? bare(patch) : git(patch);
}

/** What an agent is about to write (terminal/src/hook/diff.rs): a head, and lines without numbers. */
function bare(patch: string): File[] {
  const files: File[] = [];
  const all = patch.split("\n");
  if (all[all.length - 1] === "") all.pop();
  for (let at = 0; at < all.length; at += 1) {
    const [line = "", next = ""] = [all[at], all[at + 1]];
    const file = files[files.length - 1];
    // Only the first is sure to be a head; another must name the same file twice, or come out of nothing.
    if (line.startsWith("--- ") && next.startsWith("+++ ") && (!file || headed(line, next))) {
      const added = line === "--- /dev/null";
      files.push({ path: next.slice(4), from: "", status: added ? "added" : "changed", hunks: [{ head: "", lines: [] }], added: 0, removed: 0 });
      at += 1;
      continue;
    }
    if (!file) continue;
    const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "same";
    if (kind !== "same") file[kind] += 1;
    file.hunks[0]?.lines.push({ kind, text: line.slice(1), before: 0, after: 0 });
  }
  return files;
}

const headed = (line: string, next: string): boolean => /^\+\+\+ \//.test(next) && (line === "--- /dev/null" || line.slice(4) === next.slice(4));

function git(patch: string): File[] {
  const files: File[] = [];
  const all = patch.split("\n");
  if (all[all.length - 1] === "") all.pop();
  let file: File | undefined;
  let reader: Reader | undefined;
  for (const line of all) {
    if (line.startsWith("diff --git ")) {
      file = begin(line);
      files.push(file);
      reader = undefined;
    } else if (!file) {
      continue;
    } else if (line.startsWith("@@") && !reader?.open) {
      reader = new Reader(file, line);
    } else if (reader?.open || (reader && line.startsWith("\\"))) {
      reader.take(line);
    } else {
      head(file, line);
    }
  }
  return files;
}

/** Reads the lines of one hunk: as many as its head says, so that a line of the file is never taken for a head. */
class Reader {
  private readonly hunk: Hunk;
  private before: number;
  private after: number;
  private left: [number, number];

  constructor(
    private readonly file: File,
    line: string,
  ) {
    const found = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/.exec(line);
    this.before = Number(found?.[1] ?? 0);
    this.after = Number(found?.[3] ?? 0);
    this.left = [Number(found?.[2] ?? 1), Number(found?.[4] ?? 1)];
    this.hunk = { head: (found?.[5] ?? "").trim(), lines: [] };
    file.hunks.push(this.hunk);
  }

  get open(): boolean {
    return this.left[0] > 0 || this.left[1] > 0;
  }

  take(line: string): void {
    const text = line.slice(1);
    switch (line.charAt(0)) {
      case "+":
        this.hunk.lines.push({ kind: "added", text, before: 0, after: this.after++ });
        this.file.added += 1;
        this.left[1] -= 1;
        break;
      case "-":
        this.hunk.lines.push({ kind: "removed", text, before: this.before++, after: 0 });
        this.file.removed += 1;
        this.left[0] -= 1;
        break;
      case "\\":
        this.hunk.lines.push({ kind: "note", text: text.trim(), before: 0, after: 0 });
        break;
      default:
        this.hunk.lines.push({ kind: "same", text, before: this.before++, after: this.after++ });
        this.left = [this.left[0] - 1, this.left[1] - 1];
    }
  }
}

function begin(line: string): File {
  const path = / b\/(.*)$/.exec(line)?.[1] ?? line.slice("diff --git ".length);
  return { path, from: "", status: "changed", hunks: [], added: 0, removed: 0 };
}

function head(file: File, line: string): void {
  if (line.startsWith("new file")) file.status = "added";
  else if (line.startsWith("deleted file")) file.status = "removed";
  else if (line.startsWith("Binary files") || line.startsWith("GIT binary patch")) file.status = "binary";
  else if (line.startsWith("rename from ")) {
    file.from = line.slice("rename from ".length);
    file.status = "renamed";
  } else if (line.startsWith("+++ b/")) file.path = line.slice("+++ b/".length);
}
