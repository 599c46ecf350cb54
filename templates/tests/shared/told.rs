//! A user's template, and what a person is told about it.

use wsm_template::{Request, Source, Sources, resolve};

/// A user's template `t`.
pub(crate) fn user(text: &str) -> Sources {
    let source = Source {
        file: "t.toml".to_owned(),
        text: text.to_owned(),
    };
    Sources {
        user: vec![source],
        ..Sources::default()
    }
}

/// All problems of a user's template `t`.
pub(crate) fn problems(text: &str) -> String {
    let request = Request {
        template: "t".to_owned(),
        ..Request::default()
    };
    match resolve(&user(text), &request) {
        Ok(resolution) => panic!("no problem found: {resolution:#?}"),
        Err(problems) => problems.to_string(),
    }
}
