import { render } from "preact";
import "./style/app.css";
import "./style/parts.css";
import "./style/list.css";
import { App } from "./app";
import { observe } from "./live/presence";
import { receive } from "./live/shared";
import { begin } from "./live/store";
import { listen } from "./keys";
import { register } from "./live/worker";
import "./settings";

receive();
const root = document.getElementById("app");
if (root) render(<App />, root);
void begin();
register();
listen();
observe();
