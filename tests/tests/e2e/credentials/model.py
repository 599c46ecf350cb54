"""Model APIs, as far as three coding agents ask: each task is three steps. Every request is a line of the log.
Logins, as far as tokens go: each refresh token is good once. Files beside the log change what is answered: with
`revoked` no token is given any more, and the one that was is good for nothing; `rejected` does the latter once.

model.py CERTIFICATE ADDRESS LOG
"""
import base64, http.server, json, os, re, socketserver, ssl, subprocess, sys, threading, time

certificate, address, log = sys.argv[1:]
lock = threading.Lock()


def texts(value):
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def sse(events):
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)


def messages(body):
    """Anthropic's. The step is how many results of tools came back."""
    told = "\n".join(texts(body["messages"]))
    found = re.search(r"WORKSPACE=([\w./-]+)", told)
    tools = {tool["name"].lower(): tool["name"] for tool in body.get("tools", [])}
    done = json.dumps(body["messages"]).count('"tool_result"')
    path = (found.group(1) if found else "") + "/made.txt"
    command = f"cd {path.rsplit('/', 1)[0]} && cat made.txt && git add made.txt && git commit -qm 'made by an agent'"
    use = None
    if found and "bash" in tools and "write" in tools:
        # Claude Code's and opencode's tools have the same names, and arguments of their own.
        key = "file_path" if "Write" in tools.values() else "filePath"
        steps = [
            (tools["write"], {key: path, "content": "made\n"}),
            (tools["bash"], {"command": command, "description": "commits"}),
        ]
        use = steps[done] if done < len(steps) else None
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    start = {"id": f"msg_{done}", "type": "message", "role": "assistant", "model": body["model"], "content": [],
             "stop_reason": None, "stop_sequence": None, "usage": usage}
    if use:
        block = {"type": "tool_use", "id": f"toolu_{done}", "name": use[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(use[1])}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": "TASK-DONE"}
    reason = "tool_use" if use else "end_turn"
    if not body.get("stream"):
        full = dict(block, **({"input": use[1]} if use else {"text": "TASK-DONE"}))
        return "application/json", json.dumps(dict(start, content=[full], stop_reason=reason))
    return "text/event-stream", sse([
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ])


def responses(body):
    """OpenAI's, as Codex asks."""
    told = "\n".join(texts(body.get("input", [])))
    found = re.search(r"WORKSPACE=([\w./-]+)", told)
    done = json.dumps(body.get("input", [])).count('call_output"')
    names = {tool.get("name") for tool in body.get("tools", [])}
    workspace = found.group(1) if found else ""
    steps = [
        f"cd {workspace} && printf 'made\\n' > made.txt",
        f"cd {workspace} && cat made.txt && git add made.txt && git commit -qm 'made by an agent'",
    ]
    item = None
    if found and done < len(steps):
        call = {"type": "function_call", "id": f"fc_{done}", "call_id": f"call_{done}", "status": "completed"}
        if "exec_command" in names:
            # What is beyond its own sandbox it asks a person for.
            asks = {"sandbox_permissions": "require_escalated", "justification": "a test"} if "ASK WORKSPACE" in told else {}
            item = dict(call, name="exec_command", arguments=json.dumps(dict(asks, cmd=steps[done])))
        elif "shell_command" in names:
            item = dict(call, name="shell_command", arguments=json.dumps({"command": steps[done]}))
        elif "shell" in names:
            item = dict(call, name="shell", arguments=json.dumps({"command": ["bash", "-c", steps[done]]}))
    if item is None:
        item = {"type": "message", "id": f"msg_{done}", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "TASK-DONE", "annotations": []}]}
    answer = {"id": f"resp_{done}", "object": "response", "created_at": 1, "status": "completed", "model": body.get("model", ""),
              "output": [item], "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                                          "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}}
    if not body.get("stream"):
        return "application/json", json.dumps(answer)
    return "text/event-stream", sse([
        {"type": "response.created", "response": dict(answer, status="in_progress", output=[])},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": answer},
    ])


given = 0  # how often new tokens were given: only the last are good
rejected = False


def told(name):
    return os.path.exists(os.path.join(os.path.dirname(log), name))


def jwt(claims, signature):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none'})}.{part(claims)}.{signature}"


def token(host, body):
    """New tokens for old: they end in `-refresh-N` and `-access-N`."""
    global given, rejected
    base, _, number = body.get("refresh_token", "").rpartition("-refresh-")
    with lock:
        if told("revoked") or number != str(given):
            return 400, json.dumps({"error": "invalid_grant", "error_description": "Refresh token not found or invalid"})
        given, rejected = given + 1, False
        access, refresh = f"{base}-access-{given}", f"{base}-refresh-{given}"
    now = int(time.time())
    if host == "auth.openai.com":
        return 200, json.dumps({"access_token": jwt({"iat": now, "exp": now + 3600}, access), "refresh_token": refresh})
    return 200, json.dumps({"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": 3600,
                            "scope": "user:inference user:profile"})


def accepted(headers):
    """Whether a request may be answered: by its token, if it has one."""
    global rejected
    _, token, number = (headers.get("authorization") or "").rpartition("-access-")
    with lock:
        if told("rejected"):
            os.remove(os.path.join(os.path.dirname(log), "rejected"))
            rejected = True
        return not token or number == str(given) and not rejected and not told("revoked")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            raw = b""
            while size := int(self.rfile.readline(), 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.headers.get("content-encoding") == "zstd":
            raw = subprocess.run(["zstd", "-dc"], input=raw, stdout=subprocess.PIPE, check=True).stdout
        path = self.path.split("?")[0]
        line = {"method": self.command, "host": self.headers.get("host"), "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()}, "body": raw.decode("latin-1")}
        with lock, open(log, "a") as out:
            out.write(json.dumps(line) + "\n")
        status, kind, text = 200, "application/json", "{}"
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        if path.endswith("/oauth/token"):
            status, text = token(self.headers.get("host"), body)
        elif not accepted(self.headers):
            status, text = 401, json.dumps({"type": "error", "error": {"type": "authentication_error", "message": "no token"}})
        elif path.endswith("/messages") and body:
            kind, text = messages(body)
        elif path.endswith("/count_tokens"):
            text = '{"input_tokens": 1}'
        elif path.endswith("/responses") and body:
            kind, text = responses(body)
        elif path.endswith("/accounts/check"):
            account = {"id": "acc-1", "name": None, "structure": "personal", "plan_type": "pro", "is_deactivated": False,
                       "can_access_with_session": True, "workspace_backend_origin": "https://chatgpt.com", "account_routing_override": "NO_CONSTRAINT"}
            text = json.dumps({"accounts": [account], "account_ordering": ["acc-1"], "default_account_id": "acc-1"})
        elif path.endswith("/models"):
            text = '{"object": "list", "data": [], "models": []}'
        elif path == "/echo":
            kind, text = "text/plain", "echoed\n"
        elif "/info/refs" in path:
            status = 404
        elif self.headers.get("upgrade"):
            status = 426
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def serve(port, tls):
    server = Server((address, port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # In the thread of the connection, not of the one that accepts.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


serve(443, True)
serve(80, False)
print("serving", flush=True)
threading.Event().wait()
