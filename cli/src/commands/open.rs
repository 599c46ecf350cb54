//! `wsm open`.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

use wsm_api::preview::NewPreview;
use wsm_api::problem::Code;
use wsm_api::service::Port;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render;

/// Options of `open`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Name of the port. Left out: the only one, or the first with a web page.
    port: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let ports = context.client.agent_ports(&args.agent).await?;
    let port = choose(&ports.ports, args.port.as_deref()).map_err(|why| {
        Failure::new(
            Code::NotFound,
            format!("{}: {why}", args.agent),
            hint(context, args),
        )
    })?;
    if context.place.is_remote() {
        return elsewhere(context, args, port).await;
    }
    let text = if context.output.json {
        render::json(port)
    } else {
        format!("{}\n", render::clean(&port.url))
    };
    render::print(&text)?;
    let looks = std::io::stdout().is_terminal() && !context.output.json && !context.output.quiet;
    if looks && has_desktop() && port.url.starts_with("http") {
        browse(&port.url);
    }
    Ok(Exit::DONE)
}

/// On another machine the port is that one's loopback: its preview leads there.
async fn elsewhere(context: &Context, args: &Args, port: &Port) -> Outcome {
    let new = NewPreview {
        port: port.name.clone(),
        path: String::new(),
    };
    let preview = context.client.preview(&args.agent, &new).await?;
    let text = if context.output.json {
        render::json(&preview)
    } else {
        format!("{}\n", render::clean(&preview.url))
    };
    render::print(&text)?;
    let looks = std::io::stdout().is_terminal() && !context.output.json && !context.output.quiet;
    if looks && has_desktop() {
        browse(&preview.url);
    }
    Ok(Exit::DONE)
}

fn hint(context: &Context, args: &Args) -> String {
    format!(
        "see what there is: {}",
        context.typed(&format!("ports {}", args.agent))
    )
}

fn choose<'a>(ports: &'a [Port], name: Option<&str>) -> Result<&'a Port, String> {
    let published: Vec<&Port> = ports.iter().filter(|port| port.outside.is_some()).collect();
    match (name, published.as_slice()) {
        (Some(name), _) => match ports.iter().find(|port| port.name == name) {
            Some(port) if port.outside.is_some() => Ok(port),
            Some(_) => Err(format!("port {name:?} is not published")),
            None => Err(format!("there is no port {name:?}")),
        },
        (None, []) => Err("there is no published port".to_owned()),
        (None, [only]) => Ok(only),
        (None, many) => many
            .iter()
            .find(|port| port.url.starts_with("http"))
            .copied()
            .ok_or_else(|| "there are several ports; name one".to_owned()),
    }
}

fn has_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// The URL is on the screen already, so a missing browser is not worth an error.
fn browse(url: &str) {
    let quiet = Stdio::null;
    let started = Command::new("xdg-open")
        .arg(url)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    drop(started);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, outside: Option<u16>, url: &str) -> Port {
        Port {
            name: name.into(),
            inside: 1,
            outside,
            url: url.into(),
        }
    }

    #[test]
    fn the_port_that_is_meant() {
        let db = port("db", Some(1), "tcp://127.0.0.1:1");
        let web = port("web", Some(2), "http://127.0.0.1:2");
        let hidden = port("hidden", None, "");
        let all = [db.clone(), hidden.clone(), web.clone()];
        assert_eq!(choose(&all, None), Ok(&web));
        assert_eq!(choose(&all, Some("db")), Ok(&db));
        assert!(
            choose(&all, Some("hidden"))
                .unwrap_err()
                .contains("not published")
        );
        assert!(choose(&all, Some("x")).unwrap_err().contains("no port"));
        assert_eq!(choose(&all[..2], None), Ok(&db));
        assert!(choose(&all[1..2], None).is_err());
    }
}
