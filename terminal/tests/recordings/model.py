"""A talkative model, for recordings: it answers in Markdown, word by word, and runs one command."""

import http.server
import json
import socketserver
import threading
import time

WORDS = """# Résumé 漢字

I looked at **code.c** and *two* things stand out 👍🏽:

1. `f1` returns what `printf` says — fine
2. the comment λ → 漢字 is wide

| name | wide |
| --- | --- |
| 日本語 | ✅ |
| emoji 👩‍💻 | ☺️ |

```c
static int f1(const char *s) {
\treturn printf("%s: 1\\n", s); // λ
}
```
"""
COMMAND = "ls --color=always && seq 30 && printf '\\033[31mred\\033[m 漢字\\n'"


def pieces():
    for at in range(0, len(WORDS), 12):
        yield WORDS[at : at + 12]


def claude(body):
    """Anthropic's messages: words and a command at first, words alone once it has run."""
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": [],
             "stop_reason": None, "stop_sequence": None, "usage": usage}
    tools = {tool["name"] for tool in body.get("tools", [])}
    first = "Bash" in tools and '"tool_result"' not in json.dumps(body["messages"])
    yield {"type": "message_start", "message": start}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in pieces() if tools else ["A task"]:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    yield {"type": "content_block_stop", "index": 0}
    if first:
        block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
        told = json.dumps({"command": COMMAND, "description": "Lists what is there"})
        yield {"type": "content_block_start", "index": 1, "content_block": block}
        yield {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": told}}
        yield {"type": "content_block_stop", "index": 1}
    reason = "tool_use" if first else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def codex(body):
    """OpenAI's responses, the same way."""
    names = {tool.get("name") for tool in body.get("tools", [])}
    first = 'call_output"' not in json.dumps(body.get("input", []))
    answer = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body.get("model", ""),
              "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
    if "exec_command" in names:
        call.update(name="exec_command", arguments=json.dumps({"cmd": COMMAND}))
    else:
        call.update(name="shell_command" if "shell_command" in names else "shell",
                    arguments=json.dumps({"command": COMMAND if "shell_command" in names else ["bash", "-c", COMMAND]}))
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
               "content": [{"type": "output_text", "text": WORDS, "annotations": []}]}
    items = [message, call] if first else [message]
    yield {"type": "response.created", "response": dict(answer, status="in_progress", output=[])}
    for index, item in enumerate(items):
        begun = dict(item, status="in_progress", content=[]) if item is message else item
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        if item is message:
            for piece in pieces():
                yield {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": index, "content_index": 0, "delta": piece}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": dict(answer, output=items)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        speak = {"messages": claude, "responses": codex}.get(path.rsplit("/", 1)[-1])
        if speak is None:
            return self.whole(b'{"input_tokens": 1}')
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in speak(json.loads(raw)):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.03)
        self.close_connection = True

    def do_GET(self):
        self.whole(b'{"object": "list", "data": [], "models": []}')

    def whole(self, data):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def serve():
    """Its address."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
