//! How each agent kind is started and handed its first prompt.

use crate::expand;
use crate::expand::ExpandError;
use crate::expand::Quoting;
use crate::expand::Vars;
use crate::resolved::Agent;
use crate::resolved::Kind;
use crate::resolved::Permissions;

impl Kind {
    /// From its name in a template.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "claude" => Some(Self::Claude),
            "codex" => Some(Self::Codex),
            "gemini" => Some(Self::Gemini),
            "opencode" => Some(Self::Opencode),
            "aider" => Some(Self::Aider),
            "shell" => Some(Self::Shell),
            "command" => Some(Self::Command),
            _ => None,
        }
    }

    /// Its name in a template.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Aider => "aider",
            Self::Shell => "shell",
            Self::Command => "command",
        }
    }

    /// What is started when the template names no command; empty where it must.
    pub fn default_command(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["claude"],
            Self::Codex => &["codex"],
            Self::Gemini => &["gemini"],
            Self::Opencode => &["opencode"],
            Self::Aider => &["aider"],
            Self::Shell => &["bash", "-l"],
            Self::Command => &[],
        }
    }

    /// Whether the kind has a way to be given a first prompt.
    pub fn takes_prompt(self) -> bool {
        match self {
            Self::Claude | Self::Codex | Self::Gemini | Self::Opencode | Self::Aider => true,
            Self::Shell | Self::Command => false,
        }
    }

    /// The arguments that hand `prompt` over. Joined with `=` where it is an option's value, and
    /// after `--` where it begins with a dash, so that a prompt is never read as an option.
    fn prompt_arguments(self, prompt: &str) -> Vec<String> {
        match self {
            Self::Claude | Self::Codex if prompt.starts_with('-') => {
                vec!["--".to_owned(), prompt.to_owned()]
            }
            Self::Claude | Self::Codex => vec![prompt.to_owned()],
            Self::Gemini => vec![format!("--prompt-interactive={prompt}")],
            Self::Opencode => vec![format!("--prompt={prompt}")],
            // aider has no prompt that it goes on from: it does this one and ends.
            Self::Aider => vec![format!("--message={prompt}")],
            Self::Shell | Self::Command => Vec::new(),
        }
    }
}

impl Kind {
    /// Whether it can go on with a conversation.
    pub(crate) fn resumes(self) -> bool {
        self.takes_prompt()
    }

    /// Whether it can be told of MCP servers.
    pub(crate) fn takes_mcp(self) -> bool {
        matches!(
            self,
            Self::Claude | Self::Codex | Self::Gemini | Self::Opencode
        )
    }

    /// Whether it has this approval mode.
    pub(crate) fn permits(self, permissions: Permissions) -> bool {
        match self {
            Self::Claude | Self::Codex | Self::Gemini | Self::Opencode => true,
            Self::Aider => permissions != Permissions::Edits,
            Self::Shell | Self::Command => false,
        }
    }

    /// The arguments for a model. Never read as another option, since they are joined.
    fn model_arguments(self, model: &str) -> Vec<String> {
        if model.is_empty() || !self.takes_prompt() {
            return Vec::new();
        }
        vec![format!("--model={model}")]
    }

    /// The arguments for an approval mode. opencode's is a setting.
    fn permission_arguments(self, permissions: Option<Permissions>) -> &'static [&'static str] {
        use Permissions::{All, Ask, Edits};
        match (self, permissions) {
            (Self::Claude, Some(Ask)) => &["--permission-mode=default"],
            (Self::Claude, Some(Edits)) => &["--permission-mode=acceptEdits"],
            (Self::Claude, Some(All)) => &["--permission-mode=bypassPermissions"],
            (Self::Codex, Some(Ask)) => &["--ask-for-approval=on-request", "--sandbox=read-only"],
            (Self::Codex, Some(Edits)) => {
                &["--ask-for-approval=on-request", "--sandbox=workspace-write"]
            }
            (Self::Codex, Some(All)) => &["--dangerously-bypass-approvals-and-sandbox"],
            (Self::Gemini, Some(Ask)) => &["--approval-mode=default"],
            (Self::Gemini, Some(Edits)) => &["--approval-mode=auto_edit"],
            (Self::Gemini, Some(All)) => &["--approval-mode=yolo"],
            (Self::Aider, Some(All)) => &["--yes-always"],
            _ => &[],
        }
    }

    /// The arguments that go on with a conversation. Codex's is a command of its own.
    fn resume_arguments(self, session: &str) -> Vec<String> {
        match self {
            Self::Claude | Self::Gemini => vec![format!("--resume={session}")],
            Self::Codex => vec!["resume".to_owned(), session.to_owned()],
            Self::Opencode => vec![format!("--session={session}")],
            Self::Aider => vec!["--restore-chat-history".to_owned()],
            Self::Shell | Self::Command => Vec::new(),
        }
    }
}

impl Permissions {
    /// From its name in a template.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "ask" => Some(Self::Ask),
            "edits" => Some(Self::Edits),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// Where Claude Code is told of its MCP servers.
pub const CLAUDE_MCP: &str = "/etc/wsm/agent/mcp.json";

impl Agent {
    /// The argv to start, with placeholders replaced and everything handed over in the kind's way.
    /// `session`: the conversation to go on with; the first prompt was given in it.
    ///
    /// # Errors
    /// When a placeholder has no value in `vars`.
    pub fn argv(&self, vars: &Vars, session: Option<&str>) -> Result<Vec<String>, ExpandError> {
        let mut argv = expand::expand_all(&self.command, vars)?;
        let kind = self.kind;
        if let Some(session) = session {
            argv.extend(kind.resume_arguments(session));
        }
        argv.extend(kind.model_arguments(&self.model));
        let permissions = kind.permission_arguments(self.permissions);
        argv.extend(permissions.iter().map(|part| (*part).to_owned()));
        if kind == Kind::Claude && !self.mcp.is_empty() {
            argv.push(format!("--mcp-config={CLAUDE_MCP}"));
        }
        let prompt = expand::expand(&self.prompt, vars, Quoting::Raw)?;
        if !prompt.is_empty() && session.is_none() {
            argv.extend(kind.prompt_arguments(&prompt));
        }
        Ok(argv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolved::Restart;

    fn argv(kind: Kind, prompt: &str) -> String {
        let agent = Agent {
            kind,
            command: kind
                .default_command()
                .iter()
                .map(|part| (*part).to_owned())
                .collect(),
            prompt: prompt.to_owned(),
            wait_for: Vec::new(),
            restart: Restart::Never,
            resume: false,
            model: String::new(),
            permissions: None,
            mcp: std::collections::BTreeMap::new(),
            idle_stop: None,
        };
        agent.argv(&Vars::default(), None).unwrap().join("|")
    }

    #[test]
    fn every_kind_gets_its_prompt() {
        assert_eq!(argv(Kind::Claude, "fix it"), "claude|fix it");
        assert_eq!(argv(Kind::Claude, "--help"), "claude|--|--help");
        assert_eq!(argv(Kind::Codex, "fix it"), "codex|fix it");
        assert_eq!(
            argv(Kind::Gemini, "fix it"),
            "gemini|--prompt-interactive=fix it"
        );
        assert_eq!(argv(Kind::Opencode, "fix it"), "opencode|--prompt=fix it");
        assert_eq!(argv(Kind::Aider, "fix it"), "aider|--message=fix it");
        assert_eq!(argv(Kind::Shell, ""), "bash|-l");
        assert_eq!(argv(Kind::Claude, ""), "claude");
    }

    #[test]
    fn every_kind_is_told_in_its_own_way() {
        let told = |kind: Kind, session: Option<&str>| {
            let agent = Agent {
                kind,
                command: vec!["x".to_owned()],
                prompt: "go".to_owned(),
                wait_for: Vec::new(),
                restart: Restart::Never,
                resume: true,
                model: "m".to_owned(),
                permissions: Some(Permissions::All),
                mcp: std::collections::BTreeMap::new(),
                idle_stop: None,
            };
            agent.argv(&Vars::default(), session).unwrap().join("|")
        };
        let all = "x|--model=m|--permission-mode=bypassPermissions|go";
        assert_eq!(told(Kind::Claude, None), all);
        let again = "x|--resume=s|--model=m|--permission-mode=bypassPermissions";
        assert_eq!(told(Kind::Claude, Some("s")), again);
        let codex = "x|resume|s|--model=m|--dangerously-bypass-approvals-and-sandbox";
        assert_eq!(told(Kind::Codex, Some("s")), codex);
        assert_eq!(told(Kind::Opencode, Some("s")), "x|--session=s|--model=m");
        assert_eq!(told(Kind::Shell, Some("s")), "x");
    }
}
