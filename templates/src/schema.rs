//! The JSON schema and the reference page, both generated from [`crate::keys`].

use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::check;
use crate::features;
use crate::keys;
use crate::keys::Key;
use crate::keys::Repository;
use crate::keys::Scope;
use crate::keys::Type;
use crate::layer;
use crate::parse;

/// The format as a JSON schema, for editors. Ends with a line break.
pub fn json() -> String {
    let mut root = table(&[]);
    root.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("title".to_owned(), json!("wsm template"));
    root.insert("required".to_owned(), json!(["schema"]));
    let mut text = format!("{:#}", Json::Object(root));
    text.push('\n');
    text
}

/// The reference page.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## Keys\n");
    let mut table = "";
    for key in keys::KEYS {
        let first = key.path.split('.').next().unwrap_or_default();
        let first = if ABOUT_THE_FILE.contains(&first) {
            ""
        } else {
            first
        };
        if first != table || page.ends_with("## Keys\n") {
            table = first;
            let title = if first.is_empty() {
                "The file".to_owned()
            } else {
                format!("`[{first}]`")
            };
            page.push_str(&format!("\n### {title}\n\n"));
            page.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        }
        row(&mut page, key);
    }
    page.push_str(PLACEHOLDERS);
    limits(&mut page);
    page.push_str(
        "\n## Built-in templates\n\n| name | extends | what for |\n| --- | --- | --- |\n",
    );
    for info in layer::list(&layer::Sources::default()) {
        let extends = info.extends.join(", ");
        page.push_str(&format!(
            "| `{}` | {extends} | {} |\n",
            info.name, info.description
        ));
    }
    page
}

/// Keys that stand above all tables.
const ABOUT_THE_FILE: &[&str] = &["schema", "name", "description", "extends"];

const HEAD: &str = "\
# Templates

<!-- Generated from templates/src/keys.rs; `WSM_UPDATE=1 cargo test -p wsm-template` rewrites it. -->

A template is a TOML file that says everything an agent gets. `wsm template init NAME` writes a
commented one, `wsm template validate NAME` says what is wrong with it, `wsm template show NAME`
shows what it comes to and which layer set each value. `docs/template.schema.json` is the same for
editors.

## Layers

| layer | where | may set |
| --- | --- | --- |
| built-in | compiled in | everything |
| host | `/etc/wsm/templates/*.toml` | everything |
| user | the user's `~/.config/wsm/templates/*.toml` | everything, within the host's ceiling |
| repository | `.wsm/*.toml` of the *committed* base branch | see the marks below |
| request | `--set`, `--prompt`, `--base` | parameters, prompt, base |

Later layers win. Tables are merged key by key; everything else, arrays too, is replaced. A file
whose name exists in a lower layer builds on that one; `extends` names further templates, which are
looked up through all layers. The layer counts before the inheritance: what a user's file says wins
over every built-in file, whichever of the templates it says it in.

What a repository may do with a key: without a mark set it; **trust**: set it once the owner has
agreed, asked again when it changes; **narrow**: only to something that allows no more than the
layers above the repository do; **never**: not at all. A repository's template that extends one of
yours needs trust for the rights that come with it.
";

const PLACEHOLDERS: &str = "
## Placeholders

`{agent}` `{owner}` `{repo}` `{host}` `{workspace}` `{home}` `{state}` (a service's private
directory, in `[services]` only) `{port.NAME}` (inside the sandbox) `{url.NAME}` (outside, published
ports only) `{param.NAME}` `{credential.NAME}` (one that is `visible`).

They are replaced in the keys marked with `{}`. In `setup` and `teardown` each value is quoted as
one shell word, so a placeholder must stand where the shell reads words: not inside quotes,
backticks, comments, here-documents or arithmetic. Elsewhere values are put in as they are, and
never read again. `{{` is a literal brace where a placeholder would be read; `${HOME}`, `{}` and
JSON need no escape.
";

fn limits(page: &mut String) {
    page.push_str("\n## Limits\n\n| of | at most |\n| --- | --- |\n");
    let rows = [
        ("bytes of a file", parse::TEMPLATE_BYTES_MAX),
        ("keys of a file", parse::KEYS_MAX),
        ("entries of a table", parse::ENTRIES_MAX),
        ("nested tables", parse::DEPTH_MAX),
        ("templates extended directly", parse::PARENTS_MAX),
        ("templates extended in a row", layer::EXTENDS_DEPTH_MAX),
        ("templates in all that one is made of", layer::CLOSURE_MAX),
        ("files of a layer", layer::FILES_MAX),
        ("services", check::SERVICES_MAX),
        ("ports", check::PORTS_MAX),
    ];
    for (what, max) in rows {
        page.push_str(&format!("| {what} | {max} |\n"));
    }
}

fn row(page: &mut String, key: &Key) {
    let path = key.path.replace('*', "NAME");
    let braces = if key.scope == Scope::Literal {
        ""
    } else {
        " `{}`"
    };
    let mark = match key.repository {
        Repository::Free => "",
        Repository::Trust => " **trust**",
        Repository::Narrow => " **narrow**",
        Repository::Never => " **never**",
    };
    let default = if key.default.is_empty() {
        String::new()
    } else {
        format!("`{}`", key.default)
    };
    let later = match unavailable(key) {
        Some(what) => format!(" *Not available yet: {what}.*"),
        None => later_choices(key),
    };
    let kind = kind_text(key.kind).replace('|', "\\|");
    let doc = key.doc;
    writeln!(
        page,
        "| `{path}` | {kind}{braces} | {default} | {doc}{later}{mark} |"
    )
    .expect("writing to a String can't fail");
}

fn unavailable(key: &Key) -> Option<&'static str> {
    features::later(key.path)
}

fn later_choices(key: &Key) -> String {
    let Type::Choice(choices) = key.kind else {
        return String::new();
    };
    let later: Vec<String> = choices
        .iter()
        .filter(|choice| features::later_choice(key.path, choice).is_some())
        .map(|choice| format!("`{choice}`"))
        .collect();
    if later.is_empty() {
        return String::new();
    }
    format!(" *Not available yet: {}.*", later.join(", "))
}

fn kind_text(kind: Type) -> String {
    match kind {
        Type::Flag => "true or false".to_owned(),
        Type::Integer { min, max } if min == max => format!("{min}"),
        Type::Integer { min, max } => format!("{min} to {max}"),
        Type::Cores => "number of cores".to_owned(),
        Type::Size => "size: `\"512M\"`, `\"1.5G\"`".to_owned(),
        Type::Duration => "duration: `\"500ms\"`, `\"30s\"`, `\"10m\"`, `\"4h\"`".to_owned(),
        Type::Choice(choices) => choices
            .iter()
            .map(|choice| format!("`{choice}`"))
            .collect::<Vec<_>>()
            .join(" | "),
        Type::Text => "text".to_owned(),
        Type::Name => "name".to_owned(),
        Type::Revision => "branch or revision".to_owned(),
        Type::Argv => "program and arguments".to_owned(),
        Type::Commands => "shell commands".to_owned(),
        Type::Names => "names".to_owned(),
        Type::Texts => "texts".to_owned(),
        Type::InsidePaths => "paths below the checkout".to_owned(),
        Type::HostPaths => "absolute paths".to_owned(),
        Type::GuardedPaths => "paths below the checkout, or absolute".to_owned(),
        Type::Programs => "names of programs".to_owned(),
        Type::Events => "names of events".to_owned(),
        Type::Devices => "device nodes".to_owned(),
        Type::HttpTarget => "port name, or `NAME/PATH`".to_owned(),
        Type::Scalar => "text, whole number, true or false".to_owned(),
        Type::Scalars => "texts or whole numbers".to_owned(),
    }
}

/// The schema of the table at `path`.
fn table(path: &[String]) -> Map<String, Json> {
    let mut properties = Map::new();
    for name in keys::children(path) {
        let below = [path, &[name.to_owned()]].concat();
        properties.insert(name.to_owned(), entry(&below));
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    let named = matches!(keys::entry(path), keys::Entry::Named);
    let others = if named {
        entry(&[path, &["*".to_owned()]].concat())
    } else {
        json!(false)
    };
    schema.insert("additionalProperties".to_owned(), others);
    if !properties.is_empty() {
        schema.insert("properties".to_owned(), Json::Object(properties));
    }
    schema
}

fn entry(path: &[String]) -> Json {
    match keys::entry(path) {
        keys::Entry::Key(key) => leaf(key),
        keys::Entry::Table | keys::Entry::Named => Json::Object(table(path)),
        keys::Entry::Unknown => json!(false),
    }
}

fn leaf(key: &Key) -> Json {
    if let Some(what) = unavailable(key) {
        return json!({
            "description": format!("Not available yet: {what}."),
            "enum": ["", false, [], {}],
        });
    }
    let mut schema = kind(key);
    if let Json::Object(schema) = &mut schema {
        schema.insert(
            "description".to_owned(),
            json!(format!("{}{}", key.doc, later_choices(key))),
        );
    }
    schema
}

fn kind(key: &Key) -> Json {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    match key.kind {
        Type::Flag => json!({ "type": "boolean" }),
        Type::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Type::Cores => json!({ "type": "number", "minimum": 0.01, "maximum": 1024 }),
        Type::Size => json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,3})?[KMGT](iB)?$" }),
        Type::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Type::Choice(choices) => {
            let open = |choice: &&&str| features::later_choice(key.path, choice).is_none();
            json!({ "enum": choices.iter().filter(open).collect::<Vec<_>>() })
        }
        Type::Text | Type::Revision | Type::HttpTarget => json!({ "type": "string" }),
        Type::Name => {
            json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" })
        }
        Type::Argv => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Type::Commands
        | Type::Names
        | Type::Texts
        | Type::InsidePaths
        | Type::HostPaths
        | Type::GuardedPaths
        | Type::Programs
        | Type::Devices => texts,
        Type::Events => {
            json!({ "type": "array", "items": { "enum": crate::resolved::NOTIFY } })
        }
        Type::Scalar => json!({ "type": ["string", "integer", "boolean"] }),
        Type::Scalars => json!({ "type": "array", "items": { "type": ["string", "integer"] } }),
    }
}
