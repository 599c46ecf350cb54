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
    let Some((before, options)) = help.split_once("\nGlobal options:\n") else {
        return help.to_owned();
    };
    if name == "wsm" {
        return help.to_owned();
    }
    // They are indented; what a verb says last is not.
    let after = |line: &&str| !line.is_empty() && !line.starts_with(' ');
    match options.lines().position(|line| after(&line)) {
        Some(at) => {
            let last: Vec<_> = options.lines().skip(at).collect();
            format!("{before}\n{}", last.join("\n"))
        }
        None => before.to_owned(),
    }
}

#[test]
fn what_a_verb_says_last_is_in_the_page() {
    let page = page();
    assert!(page.contains("Exit codes: 0 allowed, 3 denied."), "{page}");
    assert_eq!(page.matches("Global options:").count(), 1);
}

/// What may stand in a table is what the message on an unknown key lists.
#[test]
fn every_key_of_the_configuration_is_in_its_page() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
    let page = std::fs::read_to_string(page).unwrap();
    let web = |text: &str| wsm_web::config::parse(text, "/".as_ref()).map(drop);
    let rest = |text: &str| {
        let read = wsm_egress::config::HostConfig::parse(text);
        read.map(drop).map_err(|why| why.to_string())
    };
    let mut keys = Vec::new();
    for said in [
        web("[web]\n0 = 1"),
        web("[web]\nlisten = \"[::]:1\"\n[web.acme]\n0 = 1"),
        rest("[0]"),
        rest("[egress]\n0 = 1"),
        rest("[egress]\npermit = [{ 0 = 1 }]"),
        rest("[recordings]\n0 = 1"),
        rest("[notify]\n0 = 1"),
        rest("[notify.smtp]\n0 = 1"),
    ] {
        let said = said.expect_err("there is no such key");
        let (_, listed) = said.split_once("expected").expect("they are listed");
        let found = keys.len();
        keys.extend(listed.split('`').skip(1).step_by(2).map(str::to_owned));
        assert!(keys.len() > found, "{said}");
    }
    let shown = |key: &str| {
        let set = [format!("{key} = "), format!("[{key}]"), format!(".{key}]")];
        set.iter().any(|text| page.contains(text))
    };
    let missing: Vec<_> = keys.iter().filter(|key| !shown(key)).collect();
    assert!(
        missing.is_empty(),
        "docs/config.md: {missing:?} of {keys:?}"
    );
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
