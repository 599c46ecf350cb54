//! Daemons on other machines: `--host ssh://…` over ssh alone, `--host https://…` with a token.

mod address;
mod https;
mod known;
mod ssh;

use std::sync::Arc;

use wsm_api::client::Dial;

use self::address::Address;
use crate::failure::Failure;

/// The way to the daemon that `--host` names; `pin`: its certificate; `asks`: questions may be
/// asked.
pub(crate) fn dial(host: &str, pin: Option<&str>, asks: bool) -> Result<Arc<dyn Dial>, Failure> {
    match Address::parse(host)? {
        Address::Ssh(machine) => Ok(Arc::new(ssh::Tunnel::new(host, machine, asks)?)),
        Address::Site(site) => {
            let known = known::find(host, pin)?;
            Ok(Arc::new(https::Line::new(host, site, known)?))
        }
    }
}
