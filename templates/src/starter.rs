//! The commented file that `wsm template init` writes.

/// A starter for a template called `name`; it resolves as it stands.
pub fn init_text(name: &str) -> String {
    include_str!("starter.toml").replace("NAME", name)
}
