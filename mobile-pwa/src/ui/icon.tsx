// Icons: strokes on a square of 24.

const PATHS = {
  agents: "M4 6h16M4 12h16M4 18h10",
  back: "M15 5l-7 7 7 7",
  bell: "M6 10a6 6 0 0112 0c0 6 2 6 2 8H4c0-2 2-2 2-8zM10 21h4",
  chart: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  check: "M5 13l4 4L19 7",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  desk: "M4 5h16v14H4zM12 5v14",
  diff: "M6 3v12M6 15a3 3 0 100 6 3 3 0 000-6zM18 9a3 3 0 100-6 3 3 0 000 6zM18 9c0 6-6 5-9 7.5",
  down: "M6 9l6 6 6-6",
  history: "M4 12a8 8 0 108-8c-3 0-5.500 1.500-7 4M4 4v4h4M12 8v4l3 2",
  info: "M12 11v6M12 7.500v.01M12 3a9 9 0 100 18 9 9 0 000-18z",
  key: "M15 9a4 4 0 10-3.500 4L13 14.500h2V17h2.500v3H21v-3.500l-6.200-6.200M14.500 7.500v.01",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  pause: "M8 5v14M16 5v14",
  people: "M9 11a4 4 0 100-8 4 4 0 000 8zM2 21c0-4 3-6 7-6s7 2 7 6M16 3.500a4 4 0 010 7.500M18 15c3 .5 4 3 4 6",
  phone: "M7 2.500h10v19H7zM11 18.500h2",
  play: "M7 4.500v15l12-7.500z",
  plus: "M12 5v14M5 12h14",
  ports: "M10 14a4 4 0 005.700 0l3.500-3.500a4 4 0 00-5.700-5.700L12 6.300M14 10a4 4 0 00-5.700 0l-3.500 3.500a4 4 0 005.700 5.700L12 17.700",
  restart: "M20 12a8 8 0 11-2.300-5.700L20 8.500M20 3.500v5h-5",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM20 20l-4-4",
  send: "M12 19V5M6 11l6-6 6 6",
  services: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  stop: "M6 6h12v12H6z",
  terminal: "M4 5h16v14H4zM8 9.500l3 2.500-3 2.500M13 15h3",
  text: "M5 6h14M5 10h14M5 14h14M5 18h8",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  warn: "M12 4l9 16H3zM12 10v4M12 17v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={name === "more" ? "icon dots" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
