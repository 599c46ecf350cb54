// A patch, file by file.

import { useMemo, useState } from "preact/hooks";
import { type File, parse } from "../model/patch";
import "../style/diff.css";

/** A file with more lines is shown when it is asked for. */
const LINES_OPEN = 400;

const MARK = { same: " ", added: "+", removed: "−", note: "" } as const;
const STATUS = { changed: "", added: "new", removed: "deleted", renamed: "renamed", binary: "binary" } as const;

export function Diff({ patch, uncommitted }: { patch: string; uncommitted?: ReadonlySet<string> }) {
  const files = useMemo(() => parse(patch), [patch]);
  return (
    <div class="diff">
      {files.map((file) => (
        <FileDiff key={file.path} file={file} loose={uncommitted?.has(file.path) ?? false} />
      ))}
    </div>
  );
}

export const Sums = ({ added, removed }: { added: number; removed: number }) => (
  <span class="sums" aria-label={`${added} lines added, ${removed} removed`}>
    <span class="plus">+{added}</span> <span class="minus">−{removed}</span>
  </span>
);

function FileDiff({ file, loose }: { file: File; loose: boolean }) {
  const lines = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const [open, show] = useState(lines <= LINES_OPEN);
  return (
    <details class="file" open={open} onToggle={(event) => show(event.currentTarget.open)}>
      <summary>
        <span class="grow path">
          {file.from && <span class="muted">{file.from} → </span>}
          {file.path}
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
        <table key={at} class="hunk">
          <caption>{hunk.head || (at > 0 ? "…" : "")}</caption>
          <tbody>
            {hunk.lines.map((line, index) => (
              <tr key={index} class={line.kind}>
                <td class="number">{line.before || ""}</td>
                <td class="number">{line.after || ""}</td>
                <td class="mark">{MARK[line.kind]}</td>
                <td class="code">{line.text || " "}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
}
