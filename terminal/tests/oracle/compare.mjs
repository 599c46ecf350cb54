// Reads windows of recordings, a line of JSON each, and has xterm.js judge them: whoever saw the output
// from its beginning and whoever was drawn a snapshot must see the same, at once and when more has come.
// Says a line of JSON for each: how often it compared, and what differed.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const paths = (process.env.NODE_PATH ?? "").split(":").concat("/usr/local/lib/node_modules", "/usr/lib/node_modules");
const load = (name) => require(require.resolve(name, { paths }));
const { Terminal } = load("@xterm/headless");
const { Unicode11Addon } = load("@xterm/addon-unicode11");

const [COLS, ROWS] = [80, 24];

function fresh() {
  const terminal = new Terminal({ cols: COLS, rows: ROWS, allowProposedApi: true, scrollback: 0 });
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  terminal.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return terminal;
}

// As text: xterm.js 6.0 loses a character whose bytes come apart behind a 0x80 (xtermjs#6003).
const write = (terminal, hex) =>
  new Promise((done) => terminal.write(terminal.decoder.decode(Buffer.from(hex, "hex"), { stream: true }), done));

const STYLE = ["Bold", "Italic", "Dim", "Underline", "Blink", "Inverse", "Invisible", "Strikethrough"];

function cell(line, col) {
  const cell = line?.getCell(col);
  if (!cell) return "";
  const set = STYLE.filter((name) => cell[`is${name}`]());
  const color = (ground) => `${cell[`get${ground}ColorMode`]()}:${cell[`get${ground}Color`]()}`;
  return `${cell.getChars() || " "} ${cell.getWidth()} ${color("Fg")} ${color("Bg")} ${set}`;
}

// Everything that somebody could see, by place.
function look(terminal) {
  const buffer = terminal.buffer.active;
  const seen = new Map([["cursor", `${buffer.cursorX},${buffer.cursorY}`], ["buffer", buffer.type]]);
  for (const [name, value] of Object.entries(modes(terminal))) seen.set(name, String(value));
  for (let row = 0; row < ROWS; row++) {
    const line = buffer.getLine(buffer.baseY + row);
    for (let col = 0; col < COLS; col++) seen.set(`${row},${col}`, cell(line, col));
  }
  return seen;
}

function modes(terminal) {
  const all = {};
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(terminal.modes)).concat(Object.keys(terminal.modes))) {
    if (typeof terminal.modes[name] !== "function") all[name] = terminal.modes[name];
  }
  // Who comes in the middle of an update is shown what is there, and not made to wait for its end.
  delete all.synchronizedOutputMode;
  return all;
}

function differences(seen, late) {
  const drawn = look(late);
  return [...seen].filter(([key, value]) => drawn.get(key) !== value).map(([key, value]) => `${key}: ${value} / ${drawn.get(key)}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const window = JSON.parse(line);
  const wrong = [];
  let compared = 0;
  const first = fresh();
  await write(first, window.before);
  const compare = (seen, late, at, when) => {
    compared++;
    const found = differences(seen, late);
    if (found.length > 0) {
      wrong.push(`${window.name} drawn at byte ${at}, ${when}: ${found.length} differ (output / snapshot): ${found.slice(0, 3).join("; ")}`);
    }
  };
  for (const cut of window.cuts) {
    await write(first, cut.raw);
    cut.late = fresh();
    await write(cut.late, cut.drawn);
    compare(look(first), cut.late, cut.at, "at once");
  }
  await write(first, window.rest);
  const seen = look(first);
  for (const cut of window.cuts) {
    await write(cut.late, cut.after);
    compare(seen, cut.late, cut.at, "at the end");
    cut.late.dispose();
  }
  first.dispose();
  console.log(JSON.stringify({ compared, wrong }));
}
