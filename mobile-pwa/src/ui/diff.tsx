// A patch, file by file.

import { useMemo, useState } from "preact/hooks";
import { type File, type Hunk, parse } from "../model/patch";
import "../style/diff.css";

/** A file with more lines is shown when it is asked for. */
const LINES_OPEN = 400;

const MARK = { same: " ", added: "+", removed: "−", note: "" } as const;
const STATUS = { changed: "", added: "new", removed: "deleted", renamed: "renamed", binary: "binary" } as const;

interface Props {
  patch: string;
  uncommitted?: ReadonlySet<string>;
  /** Below which files are named without it. */
  root?: string;
}

export function Diff({ patch, uncommitted, root = "" }: Props) {
  const files = useMemo(() => parse(patch), [patch]);
  return (
    <div class="diff">
      {files.map((file) => (
        <FileDiff key={file.path} file={file} loose={uncommitted?.has(file.path) ?? false} root={root} />
      ))}
    </div>
  );
}

export const Sums = ({ added, removed }: { added: number; removed: number }) => (
  <span class="sums" aria-label={`${added} lines added, ${removed} removed`}>
    <span class="plus">+{added}</span> <span class="minus">−{removed}</span>
  </span>
);

function FileDiff({ file, loose, root }: { file: File; loose: boolean; root: string }) {
  const lines = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const [open, show] = useState(lines <= LINES_OPEN);
  return (
    <details class="file" open={open} onToggle={(event) => show(event.currentTarget.open)}>
      <summary>
        <span class="grow path">
          {file.from && <span class="muted">{file.from} → </span>}
          {root && file.path.startsWith(`${root}/`) ? file.path.slice(root.length + 1) : file.path}
        </span>
        {STATUS[file.status] && <span class="pill">{STATUS[file.status]}</span>}
        {loose && <span class="pill">not committed</span>}
        <Sums added={file.added} removed={file.removed} />
      </summary>
      {open && <Hunks file={file} />}
    </details>
  );
}

function Hunks({ file }: { file: File }) {
  if (file.hunks.length === 0) return <p class="muted hunk-none">Nothing to show of it.</p>;
  return (
    <div class="hunks" tabIndex={0} role="region" aria-label={`Changes in ${file.path}`}>
      {file.hunks.map((hunk, at) => (
        <Table key={at} hunk={hunk} head={hunk.head || (at > 0 ? "…" : "")} />
      ))}
    </div>
  );
}

function Table({ hunk, head }: { hunk: Hunk; head: string }) {
  // What an agent is about to write has no numbers yet.
  const numbered = hunk.lines.some((line) => line.before > 0 || line.after > 0);
  return (
    <table class="hunk">
      <caption>{head}</caption>
      <tbody>
        {hunk.lines.map((line, at) => (
          <tr key={at} class={line.kind}>
            {numbered && <td class="number">{line.before || ""}</td>}
            {numbered && <td class="number">{line.after || ""}</td>}
            <td class="mark">{MARK[line.kind]}</td>
            <td class="code">{line.text || " "}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
