//! `wsm pair`: another device of yours comes in, by a code that it reads from this screen.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use wsm_api::client::ClientError;
use wsm_api::invite::{Pairing, PairingMade};
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::commands::user::told;
use crate::failure::{Failure, Outcome};
use crate::render::{self, clean};

/// How often it is asked whether the device came.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(context: &Context) -> Outcome {
    if !context.input || !std::io::stdin().is_terminal() {
        let message = "somebody must compare the number that the device shows";
        let hint = "run `wsm pair` on a terminal, or pair from a device that is in";
        return Err(Failure::new(Code::Invalid, message, hint));
    }
    let made = context.client.pairing_new().await?;
    show(&made);
    let came = wait(context, &made.id).await?;
    render::say(&format!(
        "{:?} at {} shows the number {}.",
        clean(&came.device_name),
        clean(&came.address),
        clean(&came.number)
    ));
    render::say("Is that your device, and the number the same? [y/N]");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim(), "y" | "yes") {
        context.client.pairing_end(&made.id).await?;
        return Err(Failure::new(Code::Refused, "it was not let in", ""));
    }
    let done = context
        .client
        .pairing_confirm(&made.id, &came.number)
        .await?;
    let name = done.device_name.clone();
    told(context, &done, &name, "is let in; see `wsm device ls`")
}

fn show(made: &PairingMade) {
    let (url, until) = (clean(&made.url), clean(&made.expires));
    if let Ok(code) = QrCode::new(url.as_bytes()) {
        // Light on dark terminals reads as well as dark on light ones: cameras take both.
        let picture = code.render::<Dense1x2>().quiet_zone(true).build();
        render::say(&picture);
    }
    render::say(&format!(
        "Open this on the device, once, until {until}:\n{url}"
    ));
}

async fn wait(context: &Context, id: &str) -> Result<Pairing, Failure> {
    loop {
        match context.client.pairing(id).await {
            Ok(pairing) if pairing.state == "claimed" => return Ok(pairing),
            Ok(_) => tokio::time::sleep(ASK_EVERY).await,
            Err(ClientError::Problem(problem)) if problem.code == Code::NotFound => {
                let message = "no device came in time";
                return Err(Failure::new(Code::TimedOut, message, "begin again"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
