//! Layers and a request to [`Resolution`]: the one door of this crate.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::check;
use crate::convert;
use crate::expand;
use crate::layer;
use crate::layer::Catalog;
use crate::layer::Source;
use crate::layer::Sources;
use crate::merge;
use crate::params;
use crate::parse;
use crate::parse::Flat;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::parse::Template;
use crate::problem::Problem;
use crate::problem::Problems;
use crate::resolved::Layer;
use crate::resolved::Origin;
use crate::resolved::Resolved;
use crate::trust;
use crate::trust::TrustRequest;
use crate::value;
use crate::value::Value;

/// What a person asks for: the topmost layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `--template`.
    pub template: String,
    /// `--set k=v`: values of parameters.
    pub set: BTreeMap<String, String>,
    /// `--prompt`: plain text, braces in it are just braces.
    pub prompt: Option<String>,
    /// `--base`.
    pub base: Option<String>,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// Everything the agent gets.
    pub resolved: Resolved,
    /// What the owner must agree to first, because the repository brings it.
    pub trust: Option<TrustRequest>,
    /// What is wrong with templates that this one has nothing to do with.
    pub warnings: Vec<Problem>,
}

/// Resolves `request` against `sources`. Pure: no files, no clock.
///
/// # Errors
/// All problems at once.
pub fn resolve(sources: &Sources, request: &Request) -> Result<Resolution, Problems> {
    resolve_catalog(&Catalog::new(sources), sources, request, false)
}

/// What is wrong with the template `name`; parameters that are required may be missing.
pub fn validate(sources: &Sources, name: &str) -> Vec<Problem> {
    let request = Request {
        template: name.to_owned(),
        ..Request::default()
    };
    match resolve_catalog(&Catalog::new(sources), sources, &request, true) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0,
    }
}

/// What is wrong with `source` if it stood in `layer`, where it takes the place of a file or a
/// template of the same name. The built-in and the request layer have no files.
pub fn validate_text(sources: &Sources, layer: Layer, source: Source) -> Vec<Problem> {
    let name = parse::parse(layer, &source.file, &source.text).name;
    let mut sources = sources.clone();
    let files = match layer {
        Layer::Host => &mut sources.host,
        Layer::Repository => &mut sources.repository,
        Layer::Builtin | Layer::User | Layer::Request => &mut sources.user,
    };
    files.retain(|file| {
        file.file != source.file && parse::parse(layer, &file.file, &file.text).name != name
    });
    files.push(source);
    validate(&sources, &name)
}

fn resolve_catalog(
    catalog: &Catalog,
    sources: &Sources,
    request: &Request,
    lenient: bool,
) -> Result<Resolution, Problems> {
    let chain = catalog
        .chain(&request.template, None)
        .map_err(|mut problems| {
            let files = catalog.files(&request.template);
            problems.extend(files.iter().flat_map(|file| file.problems.clone()));
            Problems::from_found(problems)
        })?;
    let mut problems: Vec<Problem> = chain
        .iter()
        .flat_map(|template| template.problems.clone())
        .collect();
    // A file that is no TOML has no keys: what it lacks would only be noise.
    let broken = problems
        .iter()
        .any(|problem| problem.message.starts_with("is not TOML"));
    let (mut flat, refused) = merge::merge(&chain, &sources.default_limits);
    problems.extend(refused);
    put_request(&mut flat, request, &mut problems);
    let values = params::values(&flat, &request.set, lenient, &mut problems);
    let mut resolved = convert::convert(&flat, values, &mut problems);
    check::check(&flat, &mut problems);
    check::check_rights(&resolved, &flat, &mut problems);
    check::check_prompt(&resolved, &flat, request.prompt.is_some(), &mut problems);
    if broken {
        problems = chain
            .iter()
            .flat_map(|template| template.problems.clone())
            .collect();
    }
    if !problems.is_empty() {
        return Err(Problems::from_found(problems));
    }
    resolved.name.clone_from(&request.template);
    resolved.description = layer::description(&catalog.files(&request.template));
    for name in request.set.keys() {
        resolved
            .provenance
            .insert(format!("params.{name}"), params::set_origin());
    }
    let trust = trust::request(catalog, &request.template, &chain, &flat);
    Ok(Resolution {
        resolved,
        trust,
        warnings: warnings(catalog, &chain),
    })
}

fn warnings(catalog: &Catalog, chain: &[&Template]) -> Vec<Problem> {
    let others = catalog.others(chain);
    let found = others
        .iter()
        .flat_map(|template| &template.problems)
        .chain(&catalog.problems);
    Problems::from_found(found.cloned().collect()).0
}

/// Puts the request's own values on top.
fn put_request(flat: &mut Flat, request: &Request, problems: &mut Vec<Problem>) {
    let origin = |option: &str| Origin {
        layer: Layer::Request,
        file: option.to_owned(),
        line: 0,
    };
    if let Some(prompt) = &request.prompt {
        let origin = origin("--prompt");
        if prompt.len() > value::TEXT_BYTES_MAX || prompt.contains('\0') {
            let message = format!(
                "is longer than {} bytes or holds a NUL byte",
                value::TEXT_BYTES_MAX
            );
            let hint = "put it into a file of the repository and name that".to_owned();
            problems.push(Problem::new(&origin, "", message, Some(hint)));
        }
        let value = Value::Text(expand::escape(prompt));
        flat.insert(Path::of(&["agent", "prompt"]), Leaf { value, origin });
    }
    if let Some(base) = &request.base {
        let origin = origin("--base");
        if let Err((message, hint)) = value::revision(base) {
            problems.push(Problem::new(&origin, "", message, hint));
        }
        let value = Value::Text(expand::escape(base));
        flat.insert(Path::of(&["workspace", "base"]), Leaf { value, origin });
    }
}
