//! How each agent kind is started and handed its first prompt.

use crate::expand;
use crate::expand::ExpandError;
use crate::expand::Quoting;
use crate::expand::Vars;
use crate::resolved::Agent;
use crate::resolved::Kind;

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

impl Agent {
    /// The argv to start, with placeholders replaced and the prompt handed over in the kind's way.
    ///
    /// # Errors
    /// When a placeholder has no value in `vars`.
    pub fn argv_with_prompt(&self, vars: &Vars) -> Result<Vec<String>, ExpandError> {
        let mut argv = expand::expand_all(&self.command, vars)?;
        let prompt = expand::expand(&self.prompt, vars, Quoting::Raw)?;
        if !prompt.is_empty() {
            argv.extend(self.kind.prompt_arguments(&prompt));
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
        };
        agent.argv_with_prompt(&Vars::default()).unwrap().join("|")
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
}
