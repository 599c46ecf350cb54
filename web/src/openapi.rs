//! The OpenAPI document, made from the handlers' annotations.

use utoipa::OpenApi;
use utoipa::openapi::path::Operation;

/// The document as pretty JSON with a final newline: `docs/openapi.json`.
#[must_use]
pub fn json() -> String {
    let mut document = crate::router::Document::openapi();
    for item in document.paths.paths.values_mut() {
        let methods = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in methods.into_iter().flatten() {
            name(operation);
        }
    }
    let mut text = serde_json::to_string_pretty(&document).expect("the document serializes");
    text.push('\n');
    text
}

/// Handlers of different resources share names, operations must not: `agents-list`.
fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}-{id}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn operations_have_ids_of_their_own() {
        let text = super::json();
        let ids: Vec<_> = text
            .lines()
            .filter(|line| line.contains("\"operationId\""))
            .collect();
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), crate::router::ROUTES.len());
        assert_eq!(ids.len(), distinct.len());
    }

    /// `WSM_UPDATE=1` rewrites the file.
    #[test]
    fn the_document_is_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let now = super::json();
        if std::env::var_os("WSM_UPDATE").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            now == committed,
            "docs/openapi.json is not what the handlers say; rewrite it with WSM_UPDATE=1 and \
             look at the difference"
        );
    }
}
