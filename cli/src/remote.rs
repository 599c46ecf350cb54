//! Daemons on other machines: `--host ssh://…` over ssh alone, `--host https://…` with a token.

mod address;
mod ssh;

use std::sync::Arc;

use wsm_api::client::Dial;

use self::address::Address;
use crate::failure::Failure;

/// The way to the daemon that `--host` names; `asks`: questions may be asked.
pub(crate) fn dial(host: &str, asks: bool) -> Result<Arc<dyn Dial>, Failure> {
    match Address::parse(host)? {
        Address::Ssh(machine) => Ok(Arc::new(ssh::Tunnel::new(host, machine, asks)?)),
    }
}
