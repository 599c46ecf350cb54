//! One connection of an agent, from its first byte to the decision.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::{Shared, shown};
use super::hello::{self, Hello};
use super::stream::Rewound;
use super::{dial, dns, http, socks, terminate, tunnel};
use crate::host::Host;
use crate::policy::{Ask, Denial};
use crate::way;

/// Where a program speaks to a proxy on purpose, on the agent's loopback.
const PROXY_PORT: u16 = 1023;
/// Where name servers listen.
const DNS_PORT: u16 = 53;
/// How long a client may take to say what it wants.
pub(super) const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection to the name server may be silent.
const DNS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an allowed connection leads.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn ask(&self) -> Ask {
        Ask::Reach {
            host: self.host.clone(),
            port: self.port,
        }
    }

    /// The target of a question for a connection.
    pub(super) fn of(ask: &Ask) -> Option<Target> {
        match ask {
            Ask::Reach { host, port } => Some(Target {
                host: host.clone(),
                port: *port,
            }),
            Ask::Resolve { .. } | Ask::Exposed { .. } => None,
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    if let Err(error) = begin(shared, stream).await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn begin(shared: &Arc<Shared>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let meant = stream.local_addr()?;
    match (meant.ip().to_canonical(), meant.port()) {
        (ip, PROXY_PORT) if ip.is_loopback() => on_purpose(shared, stream).await,
        (ip, port) if ip.is_loopback() => exposed(shared, stream, port).await,
        (_, DNS_PORT) => name_server(shared, stream).await,
        (ip, port) => caught(shared, stream, ip, port).await,
    }
}

/// Ends a connection so that the client knows at once.
fn reset(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

async fn caught(shared: &Arc<Shared>, stream: TcpStream, ip: IpAddr, port: u16) -> io::Result<()> {
    let Ok(name) = shared.names().name(ip) else {
        let why = "its name was forgotten; look it up again".to_owned();
        let target = format!("{}:{port}", Host::ip(ip));
        shared.denied(&target, "tcp", &Denial { why, missing: None });
        return reset(&stream);
    };
    let ask = way::caught(name.as_ref(), ip, port);
    match (shared.decide(&ask, "tcp"), Target::of(&ask)) {
        (Ok(()), Some(target)) => pass(shared, target, stream, BytesMut::new()).await,
        _ => reset(&stream),
    }
}

async fn exposed(shared: &Arc<Shared>, stream: TcpStream, at: u16) -> io::Result<()> {
    let ask = Ask::Exposed { at };
    let policy = shared.policy();
    let (Ok(()), Some(expose)) = (shared.decide(&ask, "expose"), policy.exposed(at)) else {
        return reset(&stream);
    };
    match dial::connect(expose.host).await {
        Ok(server) => tunnel::carry(shared, &ask, stream, Bytes::new(), server).await,
        Err(error) => {
            tracing::info!(service = expose.name, at = %expose.host, %error, "not reachable");
            reset(&stream)?;
        }
    }
    Ok(())
}

/// DNS over TCP: each message with its length before it.
async fn name_server(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let question = async {
            let length = stream.read_u16().await?;
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await?;
            Ok::<_, io::Error>(question)
        };
        let Ok(question) = timeout(DNS_TIMEOUT, question).await else {
            return Ok(());
        };
        let Some(answer) = dns::answer(shared, &question?, None) else {
            return Ok(());
        };
        let mut message = u16::try_from(answer.len())
            .map_err(io::Error::other)?
            .to_be_bytes()
            .to_vec();
        message.extend(answer);
        stream.write_all(&message).await?;
    }
}

/// A program that knows that there is a proxy: SOCKS5, or HTTP.
async fn on_purpose(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    let mut first = BytesMut::with_capacity(1024);
    let Ok(read) = timeout(FIRST_TIMEOUT, stream.read_buf(&mut first)).await else {
        return Ok(());
    };
    if read? == 0 {
        return Ok(());
    }
    if first.first() != Some(&socks::VERSION) {
        let early = first.freeze();
        http::serve(shared, None, Rewound { early, stream }).await;
        return Ok(());
    }
    let asked = timeout(FIRST_TIMEOUT, socks::ask(&mut stream, &mut first)).await;
    let Ok(ask) = asked else { return Ok(()) };
    let decided = match ask? {
        Some(Ok(ask)) => shared.decide(&ask, "socks").map(|()| Target::of(&ask)),
        Some(Err(bad)) => {
            let why = bad.to_string();
            let denial = Denial { why, missing: None };
            shared.denied("a name that is none", "socks", &denial);
            Err(denial)
        }
        None => return Ok(()),
    };
    match decided {
        Ok(Some(target)) => {
            socks::reply(&mut stream, socks::DONE).await?;
            pass(shared, target, stream, first).await
        }
        _ => socks::reply(&mut stream, socks::NOT_ALLOWED).await,
    }
}

/// Carries a connection whose target was allowed, once what it begins with fits the target.
pub(super) async fn pass(
    shared: &Arc<Shared>,
    target: Target,
    mut client: TcpStream,
    mut early: BytesMut,
) -> io::Result<()> {
    // There the client always begins, and nobody is dialled before its word is known.
    let mut server = match target.port {
        80 | 443 => None,
        _ => Some(dialled(shared, &target, &client).await?),
    };
    let hello = match listen(&mut client, &mut early, server.as_ref()).await? {
        Some(hello) => hello,
        None => return reset(&client),
    };
    if let Err(denial) = fits(shared, &target, &hello) {
        shared.denied(&shown(&target.ask()), "tls", &denial);
        return reset(&client);
    }
    if let Hello::Tls(named) = &hello
        && let Some((target, server)) = ends_here(shared, &target, named.as_ref(), &mut server)
    {
        let (early, stream) = (early.freeze(), client);
        let owner = shared.injector().owner.clone();
        return tokio::select! {
            done = terminate::serve(shared, target, Rewound { early, stream }, server) => done,
            () = shared.handed_over(owner.as_deref()) => Ok(()),
        };
    }
    let early = early.freeze();
    if hello == Hello::Http {
        drop(server);
        let stream = client;
        http::serve(shared, Some(target), Rewound { early, stream }).await;
        return Ok(());
    }
    let server = match server {
        Some(server) => server,
        None => dialled(shared, &target, &client).await?,
    };
    tunnel::carry(shared, &target.ask(), client, early, server).await;
    Ok(())
}

/// Whether a credential belongs to whom the client speaks to: then it speaks to us.
fn ends_here(
    shared: &Shared,
    target: &Target,
    named: Option<&Host>,
    server: &mut Option<TcpStream>,
) -> Option<(Target, Option<TcpStream>)> {
    let injector = shared.injector();
    let credentials = &injector.credentials;
    if credentials.any_for(&target.host, target.port) {
        return Some((target.clone(), server.take()));
    }
    // By its address, but named: the name is whom the certificate is verified for.
    let named = named.filter(|named| credentials.any_for(named, target.port))?;
    let target = Target {
        host: named.clone(),
        port: target.port,
    };
    Some((target, None))
}

async fn dialled(shared: &Shared, target: &Target, client: &TcpStream) -> io::Result<TcpStream> {
    match shared.dialer.dial(&target.host, target.port).await {
        Ok(server) => Ok(server),
        Err(error) => {
            not_dialled(shared, target, &error);
            reset(client)?;
            Err(io::Error::other(error))
        }
    }
}

/// An address that may not be dialled is a refusal; a server that is down is not.
pub(super) fn not_dialled(shared: &Shared, target: &Target, error: &dial::DialError) {
    if matches!(error, dial::DialError::BadAddress(_)) {
        let why = error.to_string();
        let denial = Denial { why, missing: None };
        shared.denied(&shown(&target.ask()), "address", &denial);
    }
}

/// Reads until it is known what the client begins with, or the server begins. `None`: it ended, or
/// took too long.
async fn listen(
    client: &mut TcpStream,
    early: &mut BytesMut,
    server: Option<&TcpStream>,
) -> io::Result<Option<Hello>> {
    let deadline = tokio::time::Instant::now() + FIRST_TIMEOUT;
    loop {
        let hello = hello::look(early);
        if hello != Hello::Unfinished {
            return Ok(Some(hello));
        }
        if early.len() >= hello::BYTES_MAX {
            return Ok(Some(Hello::Malformed("the TLS hello is too long".into())));
        }
        let server_begins = async {
            match server {
                Some(server) => server.readable().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = client.read_buf(early) => {
                if read? == 0 {
                    return Ok(None);
                }
            }
            begins = server_begins, if early.is_empty() => {
                begins?;
                return Ok(Some(Hello::Other));
            }
            () = tokio::time::sleep_until(deadline) => return Ok(None),
        }
    }
}

/// Whether the name that a client gives the server is the one that was allowed: many servers serve
/// every name that they are told.
fn fits(shared: &Shared, target: &Target, hello: &Hello) -> Result<(), Denial> {
    let denial = |why: String| Err(Denial { why, missing: None });
    match (hello, &target.host) {
        (Hello::Malformed(why), _) => denial(why.clone()),
        (Hello::Tls(None), Host::Name(name)) => denial(format!(
            "the connection is to {name}, and its TLS hello names no host"
        )),
        (Hello::Tls(Some(named)), host) => named_fits(shared, target, named).or_else(|()| {
            denial(format!(
                "the connection is to {host}, and its TLS hello names {named}"
            ))
        }),
        _ => Ok(()),
    }
}

/// A connection to a name is for that name. One to an address may be for any name that is allowed.
pub(super) fn named_fits(shared: &Shared, target: &Target, named: &Host) -> Result<(), ()> {
    let same = *named == target.host;
    let ask = Ask::Reach {
        host: named.clone(),
        port: target.port,
    };
    let by_address = matches!(target.host, Host::Ip(_));
    if same || (by_address && shared.policy().decide(&ask).is_allow()) {
        Ok(())
    } else {
        Err(())
    }
}
