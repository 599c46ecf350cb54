//! The layers of templates, and which files make up one template.
//!
//! A name is looked up through all layers. Everything that a template extends is gathered first;
//! then the *layer* orders the files, and within one layer parents come before children. So a
//! later layer always wins, whichever of the names it says it under.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::Serialize;

use crate::parse;
use crate::parse::Template;
use crate::problem::Problem;
use crate::problem::did_you_mean;
use crate::resolved::Layer;
use crate::resolved::Limits;
use crate::resolved::Origin;

/// Longest chain of `extends`: people's chains have two or three links.
pub const EXTENDS_DEPTH_MAX: usize = 8;
/// Most files of one layer: a repository's are read unasked.
pub const FILES_MAX: usize = 256;
/// Most templates that one is made of, over all its parents.
pub const CLOSURE_MAX: usize = 64;

const BUILTIN: &[(&str, &str)] = &[
    ("builtin:aider", include_str!("../builtin/aider.toml")),
    ("builtin:backend", include_str!("../builtin/backend.toml")),
    ("builtin:claude", include_str!("../builtin/claude.toml")),
    (
        "builtin:code-hosts",
        include_str!("../builtin/code-hosts.toml"),
    ),
    ("builtin:codex", include_str!("../builtin/codex.toml")),
    ("builtin:data", include_str!("../builtin/data.toml")),
    ("builtin:frontend", include_str!("../builtin/frontend.toml")),
    ("builtin:gemini", include_str!("../builtin/gemini.toml")),
    ("builtin:node", include_str!("../builtin/node.toml")),
    ("builtin:opencode", include_str!("../builtin/opencode.toml")),
    ("builtin:shell", include_str!("../builtin/shell.toml")),
];

/// The built-in templates are the same every time: parsed once.
static PARSED: LazyLock<Vec<Template>> = LazyLock::new(|| {
    BUILTIN
        .iter()
        .map(|(file, text)| parse::parse(Layer::Builtin, file, text))
        .collect()
});

/// One template file, read by the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What people know it by: `/etc/wsm/templates/x.toml`, `.wsm/x.toml`. Its stem is the name of
    /// a template that gives none.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A file as it was read. Bytes that are not UTF-8 are a problem of this template, no other.
    #[must_use]
    pub fn new(file: impl Into<String>, bytes: &[u8]) -> Source {
        Source {
            file: file.into(),
            text: String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// The template files of every layer but the built-in one, which is compiled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// `/etc/wsm/templates`.
    pub host: Vec<Source>,
    /// The requesting user's.
    pub user: Vec<Source>,
    /// `.wsm/*.toml` of the repository's committed base.
    pub repository: Vec<Source>,
    /// The host's default limits: what a template gets that says nothing, and thus what a
    /// repository may not exceed.
    pub default_limits: Limits,
}

/// A line of `wsm template ls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateInfo {
    /// Name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The highest layer that says something under this name.
    pub layer: Layer,
    /// The file in that layer.
    pub file: String,
    /// What it extends, over all layers.
    pub extends: Vec<String>,
    /// Whether its own files have no problems.
    pub valid: bool,
}

/// Every template there is, by name.
pub fn list(sources: &Sources) -> Vec<TemplateInfo> {
    infos(&Catalog::new(sources))
}

pub(crate) fn infos(catalog: &Catalog) -> Vec<TemplateInfo> {
    let mut infos = Vec::new();
    for name in catalog.names() {
        let files = catalog.files(name);
        let Some(top) = files.last() else { continue };
        infos.push(TemplateInfo {
            name: name.to_owned(),
            description: description(&files),
            layer: top.extends_at.layer,
            file: top.extends_at.file.clone(),
            extends: catalog.parents(name),
            valid: files.iter().all(|file| file.problems.is_empty()),
        });
    }
    infos
}

/// The description that the highest of `files` gives.
pub(crate) fn description(files: &[&Template]) -> String {
    files
        .iter()
        .rev()
        .find_map(|file| file.description.clone())
        .unwrap_or_default()
}

/// All templates, parsed; lowest layer first.
#[derive(Debug)]
pub(crate) struct Catalog {
    templates: Vec<Cow<'static, Template>>,
    /// About the collection rather than one file.
    pub(crate) problems: Vec<Problem>,
}

impl Catalog {
    /// Parses all sources.
    pub(crate) fn new(sources: &Sources) -> Self {
        let mut catalog = Self {
            templates: Vec::new(),
            problems: Vec::new(),
        };
        catalog.templates.extend(PARSED.iter().map(Cow::Borrowed));
        catalog.add(Layer::Host, &sources.host);
        catalog.add(Layer::User, &sources.user);
        catalog.add(Layer::Repository, &sources.repository);
        catalog
    }

    fn add(&mut self, layer: Layer, sources: &[Source]) {
        for source in sources.iter().take(FILES_MAX) {
            let mut template = parse::parse(layer, &source.file, &source.text);
            let same = self
                .templates
                .iter()
                .find(|other| other.extends_at.layer == layer && other.name == template.name);
            if let Some(same) = same {
                let message = format!("{:?} is also in {}", template.name, same.extends_at.file);
                let at = Origin {
                    line: 0,
                    ..template.extends_at.clone()
                };
                let hint = Some("give one of them another name".to_owned());
                template
                    .problems
                    .push(Problem::new(&at, "name", message, hint));
            }
            self.templates.push(Cow::Owned(template));
        }
        if let Some(extra) = sources.get(FILES_MAX) {
            let at = Origin {
                layer,
                file: extra.file.clone(),
                line: 0,
            };
            let message = format!("left out: more than {FILES_MAX} templates in one place");
            self.problems.push(Problem::new(&at, "", message, None));
        }
    }

    /// Every name once, sorted.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.templates
            .iter()
            .map(|template| template.name.as_str())
            .collect()
    }

    /// The files of one name, lowest layer first.
    pub(crate) fn files(&self, name: &str) -> Vec<&Template> {
        self.templates
            .iter()
            .map(Cow::as_ref)
            .filter(|template| template.name == name)
            .collect()
    }

    fn parents(&self, name: &str) -> Vec<String> {
        let mut parents: Vec<String> = Vec::new();
        for parent in self.files(name).iter().flat_map(|file| &file.extends) {
            if !parents.contains(parent) {
                parents.push(parent.clone());
            }
        }
        parents
    }

    /// The files that make up `name`, in the order in which they are merged. `below` leaves out
    /// that layer and those above it.
    pub(crate) fn chain(
        &self,
        name: &str,
        below: Option<Layer>,
    ) -> Result<Vec<&Template>, Vec<Problem>> {
        let mut walk = Walk {
            catalog: self,
            below,
            order: Vec::new(),
            problems: Vec::new(),
        };
        let Some(first) = walk.files(name).first().copied() else {
            let hint = did_you_mean(name, self.names())
                .unwrap_or_else(|| "`wsm template ls` lists what there is".to_owned());
            let at = Origin {
                layer: Layer::Request,
                file: "--template".to_owned(),
                line: 0,
            };
            let message = format!("there is no template {}", crate::value::shown(name));
            return Err(vec![Problem::new(&at, "", message, Some(hint))]);
        };
        walk.visit(&first.name, &mut Vec::new());
        if !walk.problems.is_empty() {
            return Err(walk.problems);
        }
        let mut chain: Vec<(Layer, usize, &Template)> = Vec::new();
        for (rank, name) in walk.order.iter().enumerate() {
            chain.extend(
                walk.files(name)
                    .into_iter()
                    .map(|f| (f.extends_at.layer, rank, f)),
            );
        }
        chain.sort_by_key(|(layer, rank, _)| (*layer, *rank));
        Ok(chain.into_iter().map(|(_, _, template)| template).collect())
    }

    /// The files that have nothing to do with `chain`.
    pub(crate) fn others(&self, chain: &[&Template]) -> Vec<&Template> {
        self.templates
            .iter()
            .map(Cow::as_ref)
            .filter(|template| !chain.iter().any(|used| std::ptr::eq(*used, *template)))
            .collect()
    }
}

/// Walks `extends`, parents before children.
struct Walk<'a> {
    catalog: &'a Catalog,
    below: Option<Layer>,
    order: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn files(&self, name: &str) -> Vec<&'a Template> {
        let mut files = self.catalog.files(name);
        files.retain(|file| self.below.is_none_or(|layer| file.extends_at.layer < layer));
        files
    }

    fn visit(&mut self, name: &'a str, open: &mut Vec<&'a str>) {
        if self.order.contains(&name) {
            return;
        }
        open.push(name);
        for file in self.files(name) {
            for parent in &file.extends {
                self.parent(file, parent, open);
            }
        }
        open.pop();
        self.order.push(name);
    }

    fn parent(&mut self, file: &'a Template, parent: &'a str, open: &mut Vec<&'a str>) {
        let (message, hint) = if let Some(from) = open.iter().position(|name| *name == parent) {
            let circle: Vec<&str> = open[from..].iter().copied().chain([parent]).collect();
            let message = format!("extends itself: {}", circle.join(" -> "));
            let hint = "a file builds on the same name in lower layers without saying so";
            (message, Some(hint.to_owned()))
        } else if self.files(parent).is_empty() {
            let hint = did_you_mean(parent, self.catalog.names())
                .unwrap_or_else(|| "`wsm template ls` lists what there is".to_owned());
            (
                format!("there is no template {}", crate::value::shown(parent)),
                Some(hint),
            )
        } else if open.len() > EXTENDS_DEPTH_MAX {
            (
                format!("extends more than {EXTENDS_DEPTH_MAX} templates in a row"),
                None,
            )
        } else if self.order.len() >= CLOSURE_MAX {
            (
                format!("is made of more than {CLOSURE_MAX} templates"),
                None,
            )
        } else {
            return self.visit(parent, open);
        };
        self.problems
            .push(Problem::new(&file.extends_at, "extends", message, hint));
    }
}
