// An agent that asks before it does anything, by the hooks of Claude Code and without its model: each
// line that it is sent is a command that it wants to run.

const SCRIPT = `
hook() { /etc/wsm/hook claude; }
say() { printf '{"hook_event_name":"%s","session_id":"s"%s}' "$1" "$2" | hook; }
tool() { say "$1" ",\\"tool_name\\":\\"Bash\\",\\"tool_input\\":{\\"command\\":\\"$2\\"}"; }
say SessionStart
while read -r line; do
  say UserPromptSubmit
  case "$(tool PermissionRequest "$line")" in
    *'"allow"'*) sh -c "$line"; tool PostToolUse "$line" ;;
    *) echo "denied: $line" ;;
  esac
  say Stop
done
`;

export const ASKS = `schema = 1
name = "asks"
description = "asks before it runs a line"
[agent]
kind = "claude"
command = ["sh", "-c", '''${SCRIPT}''']
[notify]
on = ["finished", "blocked", "failed"]
`;
