//! `docs/cli.md`: the reference page of the command line, made from its definition.

use clap::Command;

/// Width of the page's code blocks.
const COLUMNS: usize = 100;

/// The page.
fn page() -> String {
    let mut text = String::from(
        "# The command line\n\nMade from the program's own definition; `WSM_UPDATE=1 cargo test -p wsm` \
         writes it anew.\n",
    );
    let mut command = crate::args::command().term_width(COLUMNS);
    command.build();
    section(&mut text, &mut command, "wsm");
    text
}

fn section(text: &mut String, command: &mut Command, name: &str) {
    let help = command.clone().render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    let help = without_global_options(&lines.join("\n"), name);
    text.push_str(&format!(
        "\n## `{name}`\n\n```text\n{}\n```\n",
        help.trim_end()
    ));
    for verb in command
        .get_subcommands_mut()
        .filter(|verb| !verb.is_hide_set())
    {
        let name = format!("{name} {}", verb.get_name());
        if verb.get_name() != "help" {
            section(text, verb, &name);
        }
    }
}

/// They are told once, on top.
fn without_global_options(help: &str, name: &str) -> String {
    match help.split_once("\nGlobal options:\n") {
        Some((before, _)) if name != "wsm" => before.to_owned(),
        _ => help.to_owned(),
    }
}

/// `WSM_UPDATE=1` rewrites the file.
#[test]
fn the_page_is_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    let now = page();
    if std::env::var_os("WSM_UPDATE").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        now == committed,
        "docs/cli.md is not what the definition says; rewrite it with WSM_UPDATE=1 and look at \
         the difference"
    );
}
