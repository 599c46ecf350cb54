//! From an allowed host to a connection: looked up once, every address vetted, a vetted one dialled.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::address::{self, BadAddress};
use crate::config::HostConfig;
use crate::host::Host;

/// How long a look-up may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Look-ups at once: each holds a thread.
const RESOLVES_MAX: usize = 32;
/// How long an answer is used again.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Answers that are remembered.
const REMEMBERED_MAX: usize = 1024;
/// How long one address may take to accept, and how many are tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ADDRESSES_MAX: usize = 4;
/// How old the list of the host's own addresses may be.
const OWN_AGE_MAX: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// Its name is nobody's, or the resolver is away.
    #[error("look up {host}: {why}")]
    Unknown { host: Host, why: String },
    /// It has an address that may not be dialled.
    #[error("{0}; a private address must be permitted by the host (config.toml, [egress] permit)")]
    BadAddress(#[from] BadAddress),
    /// Nobody accepts there.
    #[error("connect to {host}: {source}")]
    Unreachable { host: Host, source: io::Error },
}

/// Looks up and dials.
#[derive(Debug)]
pub(super) struct Dialer {
    config: watch::Sender<Arc<HostConfig>>,
    room: Semaphore,
    remembered: Mutex<BTreeMap<Host, (Instant, Vec<IpAddr>)>>,
    own: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl Dialer {
    pub(super) fn new(config: HostConfig) -> Dialer {
        Dialer {
            config: watch::Sender::new(Arc::new(config)),
            room: Semaphore::new(RESOLVES_MAX),
            remembered: Mutex::default(),
            own: Mutex::default(),
        }
    }

    /// From now on by this configuration.
    pub(super) fn configure(&self, config: HostConfig) {
        self.config.send_if_modified(|now| {
            let changed = **now != config;
            if changed {
                *now = Arc::new(config);
            }
            changed
        });
    }

    /// Hears of every change of the configuration.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<HostConfig>> {
        self.config.subscribe()
    }

    /// Whether all of a host's addresses may be dialled.
    pub(super) fn vet(&self, host: &Host, answer: &[IpAddr]) -> Result<(), BadAddress> {
        address::vet(host, answer, &self.own_addresses(), &self.config().permits)
    }

    fn config(&self) -> Arc<HostConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// Connects to a host that was allowed.
    pub(super) async fn dial(&self, host: &Host, port: u16) -> Result<TcpStream, DialError> {
        let answer = self.resolve(host).await?;
        self.vet(host, &answer)?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for ip in answer.into_iter().take(ADDRESSES_MAX) {
            match connect((ip, port).into()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        let host = host.clone();
        Err(DialError::Unreachable { host, source: last })
    }

    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, DialError> {
        let name = match host {
            Host::Ip(ip) => return Ok(vec![*ip]),
            Host::Name(name) => name,
        };
        let own = self.config().hosts.get(host).cloned();
        if let Some(answer) = own.or_else(|| self.recall(host)) {
            return Ok(answer);
        }
        let unknown = |why: String| DialError::Unknown {
            host: host.clone(),
            why,
        };
        let place = self.room.acquire().await;
        let asked = tokio::net::lookup_host((name.as_str(), 0));
        let found = match timeout(RESOLVE_TIMEOUT, asked).await {
            Ok(found) => found.map_err(|e| unknown(e.to_string()))?,
            Err(_) => return Err(unknown(format!("no answer in {RESOLVE_TIMEOUT:?}"))),
        };
        drop(place);
        let mut answer: Vec<IpAddr> = Vec::new();
        for ip in found.map(|address| address.ip()) {
            if !answer.contains(&ip) {
                answer.push(ip);
            }
        }
        if answer.is_empty() {
            return Err(unknown("it has no address".into()));
        }
        self.remember(host, &answer);
        Ok(answer)
    }

    fn recall(&self, host: &Host) -> Option<Vec<IpAddr>> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (since, answer) = remembered.get(host)?;
        (since.elapsed() < REMEMBERED).then(|| answer.clone())
    }

    fn remember(&self, host: &Host, answer: &[IpAddr]) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(host.clone(), (Instant::now(), answer.to_vec()));
        }
    }

    /// Addresses of this host's interfaces, read again when they are old. Unreadable ones are as
    /// good as none: public ones alone are then in danger, and those are reachable anyway.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match &*own {
            Some((since, addresses)) if since.elapsed() < OWN_AGE_MAX => addresses.clone(),
            _ => {
                let addresses = interfaces();
                *own = Some((Instant::now(), addresses.clone()));
                addresses
            }
        }
    }
}

fn interfaces() -> Vec<IpAddr> {
    let Ok(found) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let addresses = found.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses.collect()
}

/// Connects to an address.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(connected) => {
            let stream = connected?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
