//! A hostile repository's templates: two files, split at the first `\0`, must never panic, hang,
//! or come out with more rights than the defaults.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsm_template::Quoting;
use wsm_template::Request;
use wsm_template::Source;
use wsm_template::Sources;
use wsm_template::Vars;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\0').unwrap_or((text, ""));
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    let sources = Sources {
        repository: vec![source(".wsm/frontend.toml", first), source(".wsm/b.toml", second)],
        ..Sources::default()
    };
    drop(wsm_template::list(&sources));
    for name in ["frontend", "b"] {
        let request = Request { template: name.to_owned(), ..Request::default() };
        let Ok(found) = wsm_template::resolve(&sources, &request) else { continue };
        let filesystem = &found.resolved.filesystem;
        assert!(filesystem.read.is_empty() && filesystem.write.is_empty());
        for service in found.resolved.services.values() {
            assert!(!service.command.is_empty());
        }
        let vars = Vars { params: found.resolved.params.clone(), ..Vars::default() };
        for command in &found.resolved.workspace.setup {
            drop(wsm_template::expand(command, &vars, Quoting::Shell));
        }
    }
});
