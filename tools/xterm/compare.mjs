// Reads what the example `draw` prints, and has xterm.js judge it: whoever saw the output from its
// beginning and whoever was drawn a snapshot must see the same, at once and when all has come.
import { createInterface } from "node:readline";
import headless from "@xterm/headless";
import unicode11 from "@xterm/addon-unicode11";

const [COLS, ROWS] = [80, 24];

function terminal() {
  const terminal = new headless.Terminal({ cols: COLS, rows: ROWS, allowProposedApi: true, scrollback: 0 });
  terminal.loadAddon(new unicode11.Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  return terminal;
}

const write = (terminal, bytes) => new Promise((done) => terminal.write(bytes, done));
// The first digit only keeps empty words apart.
const bytes = (word) => Buffer.from(word.slice(1), "hex");

function cell(line, col) {
  const cell = line?.getCell(col);
  if (!cell) return "";
  const style = ["Bold", "Italic", "Dim", "Underline", "Blink", "Inverse", "Invisible", "Strikethrough"];
  const set = style.filter((name) => cell[`is${name}`]());
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

function differences(one, other) {
  const [seen, drawn] = [look(one), look(other)];
  return [...seen].filter(([key, value]) => drawn.get(key) !== value).map(([key, value]) => `${key}: ${value} / ${drawn.get(key)}`);
}

let [places, wrong] = [0, 0];
for await (const line of createInterface({ input: process.stdin })) {
  const [name, at, before, drawn, after] = line.split(" ");
  const [first, late] = [terminal(), terminal()];
  await write(first, bytes(before));
  await write(late, bytes(drawn));
  for (const when of ["at once", "at the end"]) {
    const found = differences(first, late);
    places++;
    if (found.length > 0) {
      wrong++;
      console.log(`${name} from byte ${at}, ${when}: ${found.length} differ (output / snapshot): ${found.slice(0, 3).join("; ")}`);
    }
    await write(first, bytes(after));
    await write(late, bytes(after));
  }
  first.dispose();
  late.dispose();
}
console.log(`${places - wrong} of ${places} comparisons alike`);
process.exitCode = wrong > 0 || places === 0 ? 1 : 0;
