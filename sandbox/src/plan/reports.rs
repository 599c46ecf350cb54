//! What programs inside need to report what they do, and settings that they can't change.

use std::path::Path;

use super::{HostLayout, Op, bind};
use crate::plan::{Access, Owners};
use crate::spec::{Extras, INSIDE_HOOK};

/// The helper and the texts. The socket is made by the spawner, in the root that these are in.
pub(super) fn ops(extras: &Extras, host: &HostLayout) -> Vec<Op> {
    let texts = extras.settings.iter().map(|(at, text)| Op::File {
        at: at.into(),
        after: None,
        text: text.clone(),
    });
    let hook = extras.reports.then(|| {
        let at = Path::new(INSIDE_HOOK);
        bind(&host.hook, at, Access::Read, Owners::Nobody).1
    });
    texts.chain(hook).collect()
}
