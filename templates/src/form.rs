//! What a person fills in to make an agent of a template.

use serde::Deserialize;
use serde::Serialize;

use crate::layer::Catalog;
use crate::layer::Sources;
use crate::layer::TemplateInfo;
use crate::layer::infos;
use crate::merge::merge;
use crate::params;
use crate::params::ParamInfo;
use crate::parse::Path;
use crate::resolved::Kind;
use crate::value::Value;

/// The fields of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Kind of the agent (`claude`, `shell` …).
    pub kind: String,
    /// Whether it can be given a prompt.
    pub prompt: bool,
    /// Its parameters, over all layers.
    pub params: Vec<ParamInfo>,
}

/// Every template there is with its form, by name.
pub fn forms(sources: &Sources) -> Vec<(TemplateInfo, Form)> {
    let catalog = Catalog::new(sources);
    let form = |info: TemplateInfo| {
        // One that extends what is not there has no fields that count.
        let chain = catalog.chain(&info.name, None).unwrap_or_default();
        let (flat, _) = merge(&chain, &sources.default_limits);
        let kind = match flat
            .get(&Path::of(&["agent", "kind"]))
            .map(|leaf| &leaf.value)
        {
            Some(Value::Text(kind)) => Kind::from_name(kind),
            _ => None,
        };
        let kind = kind.unwrap_or(Kind::Shell);
        let form = Form {
            prompt: kind.takes_prompt(),
            kind: kind.name().to_owned(),
            params: params::infos(&flat),
        };
        (info, form)
    };
    infos(&catalog).into_iter().map(form).collect()
}

#[cfg(test)]
mod tests {
    use crate::layer::Source;

    use super::*;

    #[test]
    fn fields_come_from_every_layer() {
        let source = |text: &str| Source {
            file: "x.toml".to_owned(),
            text: text.to_owned(),
        };
        let sources = Sources {
            host: vec![source(
                "schema = 1\nname = \"task\"\nextends = [\"claude\"]\n\
                 [params.depth]\ntype = \"int\"\ndefault = 3\n\
                 [params.where]\ndescription = \"Which\"\nchoices = [\"here\", \"there\"]\nrequired = true\n",
            )],
            user: vec![source(
                "schema = 1\nname = \"task\"\n[params.depth]\ntype = \"int\"\ndefault = 5\n",
            )],
            ..Sources::default()
        };
        let forms = forms(&sources);
        let (info, form) = forms.iter().find(|(info, _)| info.name == "task").unwrap();
        assert!(info.valid);
        assert_eq!((&*form.kind, form.prompt), ("claude", true));
        let param = |name: &str| form.params.iter().find(|param| param.name == name).unwrap();
        let (depth, place) = (param("depth"), param("where"));
        assert_eq!((&*depth.kind, depth.default.as_deref()), ("int", Some("5")));
        assert_eq!(place.choices, ["here", "there"]);
        assert!(place.required && !depth.required);
        assert_eq!((&*place.description, &*depth.description), ("Which", ""));
        assert!(param("task").prompt && !place.prompt);
        assert_eq!(forms.len(), crate::list(&sources).len());
    }
}
