//! `wsm device`: the sessions and passkeys that you come in with from elsewhere.

use wsm_api::device::Device;

use crate::commands::Context;
use crate::commands::user::told;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// What to do with devices.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List devices.
    #[command(visible_alias = "list")]
    Ls,
    /// End a device at once, and what it holds open.
    Rm {
        /// Id.
        id: String,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    let client = &context.client;
    match verb {
        Verb::Ls => list(context, &client.devices().await?),
        Verb::Rm { id } => {
            let device = client.device_remove(id).await?;
            told(context, &device, &device.id, "comes in no more")
        }
    }
}

fn list(context: &Context, devices: &[Device]) -> Outcome {
    let text = if context.output.json {
        render::json(&devices)
    } else if context.output.quiet {
        devices.iter().map(|one| clean(&one.id) + "\n").collect()
    } else {
        let row = |device: &Device| {
            let mut reach = device.scope.clone();
            if !device.agents.is_empty() {
                reach.push_str(&format!(" on {}", device.agents.join(" ")));
            }
            let used = match device.used.as_str() {
                "" => "never".to_owned(),
                used => format!("{used} from {}", device.address),
            };
            let state = match (device.state.as_str(), device.expires.as_str()) {
                ("good", "") => "good".to_owned(),
                ("good", until) => format!("until {until}"),
                (other, _) => other.to_owned(),
            };
            let words = [&device.id, &device.user, &device.name, &device.kind];
            let mut row: Vec<String> = words.map(String::clone).into();
            row.extend([reach, state, used]);
            row
        };
        let rows: Vec<_> = devices.iter().map(row).collect();
        let head = ["ID", "OF", "NAME", "KIND", "SCOPE", "STATE", "LAST USED"];
        render::table(&head, &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}
