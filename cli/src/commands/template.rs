//! `wsm template`: looks at files only, so it needs no daemon on this machine.

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use wsm_api::problem::{Code, Problem};
use wsm_template::resolved::Layer;
use wsm_template::{FILES_MAX, Request, Source, Sources, TEMPLATE_BYTES_MAX};

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Verbs on templates.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List templates: built-in, the host's, yours, and the repository's.
    Ls,
    /// Show a template with everything it inherits, and where each value comes from.
    Show {
        /// Name.
        name: String,
        /// A parameter of the template.
        #[arg(long, value_name = "NAME=VALUE", value_parser = super::new::pair)]
        set: Vec<(String, String)>,
    },
    /// Check templates: all problems at once, each with file, line and hint.
    Validate {
        /// Names or files. Left out: all templates.
        templates: Vec<String>,
    },
    /// Write a commented template to start from: .wsm/NAME.toml of this repository.
    Init {
        /// Name.
        name: String,
        /// Write it for all your repositories instead.
        #[arg(long)]
        user: bool,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    if context.place.is_remote() {
        if matches!(verb, Verb::Ls) {
            return list_of(context, &context.client.templates().await?);
        }
        let hint = "it looks at files of this machine: leave --host away";
        context.place.only_here("this", hint)?;
    }
    match verb {
        Verb::Ls => list(context),
        Verb::Show { name, set } => show(context, name, set),
        Verb::Validate { templates } => validate(context, templates),
        Verb::Init { name, user } => init(context, name, *user),
    }
}

fn list(context: &Context) -> Outcome {
    let infos = wsm_template::list(&sources(context)?);
    let text = if context.output.json {
        render::json(&infos)
    } else if context.output.quiet {
        infos
            .iter()
            .map(|info| format!("{}\n", clean(&info.name)))
            .collect()
    } else {
        let row = |info: &wsm_template::TemplateInfo| {
            let broken = if info.valid {
                ""
            } else {
                " (has problems: wsm template validate)"
            };
            vec![
                info.name.clone(),
                layer_name(info.layer).to_owned(),
                info.extends.join(", "),
                format!("{}{broken}", info.description),
            ]
        };
        let rows: Vec<_> = infos.iter().map(row).collect();
        render::table(&["TEMPLATE", "LAYER", "EXTENDS", "DESCRIPTION"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

/// Those of another machine, as its daemon tells them.
fn list_of(context: &Context, infos: &[wsm_api::template::TemplateInfo]) -> Outcome {
    let text = if context.output.json {
        render::json(&infos)
    } else if context.output.quiet {
        let names = infos.iter().map(|info| clean(&info.name) + "\n");
        names.collect()
    } else {
        let row = |info: &wsm_api::template::TemplateInfo| {
            let (name, layer) = (info.name.clone(), info.layer.clone());
            vec![
                name,
                layer,
                info.extends.join(", "),
                info.description.clone(),
            ]
        };
        let rows: Vec<_> = infos.iter().map(row).collect();
        render::table(&["TEMPLATE", "LAYER", "EXTENDS", "DESCRIPTION"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Builtin => "built-in",
        Layer::Host => "host",
        Layer::User => "user",
        Layer::Repository => "repository",
        Layer::Request => "request",
    }
}

fn show(context: &Context, name: &str, set: &[(String, String)]) -> Outcome {
    let request = Request {
        template: name.to_owned(),
        set: set.iter().cloned().collect(),
        ..Request::default()
    };
    let sources = sources(context)?;
    exists(context, &sources, name)?;
    let resolution =
        wsm_template::resolve(&sources, &request).map_err(|problems| wrong(name, &problems.0))?;
    let text = if context.output.json {
        render::json(&resolution)
    } else {
        let mut text = render::json(&resolution.resolved);
        if let Some(trust) = &resolution.trust {
            text.push_str("\nwants your trust, because the repository brings:\n");
            text.extend(trust.what.iter().map(|line| format!("  {}\n", clean(line))));
        }
        text
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn validate(context: &Context, templates: &[String]) -> Outcome {
    let sources = sources(context)?;
    let mut names = templates.to_vec();
    if names.is_empty() {
        names = wsm_template::list(&sources)
            .into_iter()
            .map(|info| info.name)
            .collect();
    }
    let mut problems = Vec::new();
    for name in &names {
        problems.extend(if looks_like_a_file(name) {
            validate_file(&sources, Path::new(name))?
        } else {
            exists(context, &sources, name)?;
            wsm_template::validate(&sources, name)
        });
    }
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let new = !seen.contains(problem);
        seen.push(problem.clone());
        new
    });
    if !problems.is_empty() {
        return Err(wrong(&names.join(", "), &problems));
    }
    if context.output.json {
        render::print(&render::json(&problems))?;
    } else if !context.output.quiet {
        render::print(&format!("{} fine\n", names.join(", ")))?;
    }
    Ok(Exit::DONE)
}

fn exists(context: &Context, sources: &Sources, name: &str) -> Result<(), Failure> {
    if wsm_template::list(sources)
        .iter()
        .any(|info| info.name == name)
    {
        return Ok(());
    }
    let hint = format!("see what there is: {}", context.typed("template ls"));
    Err(Failure::new(
        Code::NotFound,
        format!("there is no template {name:?}"),
        hint,
    ))
}

fn looks_like_a_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

fn validate_file(sources: &Sources, path: &Path) -> Result<Vec<wsm_template::Problem>, Failure> {
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    let in_repository = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == ".wsm");
    let layer = if in_repository {
        Layer::Repository
    } else {
        Layer::User
    };
    let source = Source::new(path.display().to_string(), &bytes);
    Ok(wsm_template::validate_text(sources, layer, source))
}

/// All problems as one, each a detail.
fn wrong(name: &str, problems: &[wsm_template::Problem]) -> Failure {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut problem = Problem::new(Code::Invalid, format!("{name}: {count} {noun}"), "");
    problem.details = problems.iter().map(ToString::to_string).collect();
    problem.into()
}

fn init(context: &Context, name: &str, user: bool) -> Outcome {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let message = format!("{name:?} is not a template's name");
        return Err(Failure::new(
            Code::Invalid,
            message,
            "use a-z, 0-9, - and _",
        ));
    }
    let dir = if user { user_dir() } else { repository_dir() };
    let Some(dir) = dir else {
        let message = "there is no repository here, and no home to write to";
        return Err(Failure::new(
            Code::Invalid,
            message,
            "run it in a repository",
        ));
    };
    let path = dir.join(format!("{name}.toml"));
    let written = std::fs::create_dir_all(&dir).and_then(|()| {
        let mut file = std::fs::File::create_new(&path)?;
        io::Write::write_all(&mut file, wsm_template::init_text(name).as_bytes())
    });
    written.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::AlreadyExists => Code::Conflict,
            _ => Code::Failed,
        };
        Failure::new(code, format!("write {}: {error}", path.display()), "")
    })?;
    let next = match user {
        true => context.typed(&format!("new --template {name}")),
        false => format!(
            "commit it, then: {}",
            context.typed(&format!("new --template {name}"))
        ),
    };
    if context.output.quiet || context.output.json {
        render::print(&format!("{}\n", path.display()))?;
    } else {
        render::print(&format!("{}\n  {next}\n", path.display()))?;
    }
    Ok(Exit::DONE)
}

/// The files of every layer, as they would be now; the repository's count once committed.
fn sources(context: &Context) -> Result<Sources, Failure> {
    let host = files(&context.place.etc().join("templates"), None)?;
    let repository = match repository_dir() {
        Some(dir) => files(&dir, Some(".wsm"))?,
        None => Vec::new(),
    };
    Ok(Sources {
        host,
        user: user_files()?,
        repository,
        ..Sources::default()
    })
}

/// The user's own templates.
pub(crate) fn user_files() -> Result<Vec<Source>, Failure> {
    user_dir().map_or_else(|| Ok(Vec::new()), |dir| files(&dir, None))
}

fn user_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("wsm/templates"))
}

/// `.wsm` of the repository around the working directory.
fn repository_dir() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .find(|dir| dir.join(".git").exists())
        .map(|dir| dir.join(".wsm"))
}

/// `*.toml` of a directory that may not exist, by name. Shown below `shown` if given.
fn files(dir: &Path, shown: Option<&str>) -> Result<Vec<Source>, Failure> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    paths.truncate(FILES_MAX);
    let mut sources = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        let file = match shown {
            Some(shown) => Path::new(shown).join(name).display().to_string(),
            None => path.display().to_string(),
        };
        match read(&path) {
            Ok(bytes) => sources.push(Source::new(file, &bytes)),
            // One that can't be read is no reason to do without the others.
            Err(error) => render::say(&format!("left out: {}: {error}", clean(&file))),
        }
    }
    Ok(sources)
}

/// One byte more than a template may have is enough to be refused for it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(TEMPLATE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let file = io::Read::take(std::fs::File::open(path)?, limit);
    io::Read::read_to_end(&mut { file }, &mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    Failure::new(code, format!("read {}: {error}", path.display()), "")
}
