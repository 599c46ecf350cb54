//! What a hostile agent begins a connection with, and what it asks its name server.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::RData;

use crate::config::HostConfig;
use crate::engine::agent::{Common, Shared};
use crate::engine::dial::Dialer;
use crate::engine::hello::{self, Hello};
use crate::engine::injector::Injector;
use crate::engine::log::Logs;
use crate::engine::secrets::Secrets;
use crate::engine::upstream::Trust;
use crate::engine::{dns, socks};
use crate::host::Host;
use crate::policy::{Ask, Mode, Policy, PolicySpec, Written};
use crate::way;

/// The beginning of a connection, as each of the ways in reads it.
///
/// # Panics
/// More bytes changed what was decided, or a host came out that is none.
pub fn hello(data: &[u8]) {
    let whole = hello::look(data);
    for cut in [data.len() / 3, data.len() / 2, data.len().saturating_sub(1)] {
        let part = hello::look(&data[..cut]);
        assert!(
            part == Hello::Unfinished || part == whole,
            "{part:?}, then {whole:?}"
        );
    }
    if let Hello::Tls(Some(host)) = &whole {
        sound(host);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let asks = [
            way::connect(text),
            way::absolute(text),
            way::host_header(text, 443),
            way::dns(text),
        ];
        asks.iter().flatten().for_each(asked);
    }
    if let Some(ask) = socks(data) {
        asked(&ask);
    }
}

fn asked(ask: &Ask) {
    if let Ask::Reach { host, .. } | Ask::Resolve { host } = ask {
        sound(host);
    }
}

/// It means the same when it is read again, and nothing of it is a word of another language.
fn sound(host: &Host) {
    let text = host.to_string();
    assert_eq!(Host::parse(&text).as_ref(), Ok(host), "{text:?}");
    let odd = |c: char| c.is_control() || c.is_whitespace() || "/@?#%\\".contains(c);
    assert!(!text.contains(odd), "{text:?}");
}

fn socks(data: &[u8]) -> Option<Ask> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("it needs nothing").block_on(async {
        // A client that has said all, and hears nothing.
        let mut stream = tokio::io::join(data, tokio::io::sink());
        let asked = socks::ask(&mut stream, &mut BytesMut::new()).await;
        asked.ok().flatten()?.ok()
    })
}

thread_local! {
    static AGENT: RefCell<Shared> = RefCell::new(agent());
}

fn agent() -> Shared {
    let dir = std::env::temp_dir().join(format!("wsm-fuzz-dns-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for logs");
    let spec = PolicySpec {
        mode: Mode::Allow,
        rules: vec![Written {
            rule: "*.allowed.example".into(),
            group: None,
        }],
        exposes: Vec::new(),
    };
    let common = Common::new(
        Dialer::new(HostConfig::default()),
        Logs::open(&dir).expect("a place for logs"),
        Secrets::open(&dir, None),
        Trust::default(),
    );
    let policy = Policy::compile(&spec).expect("it is in order");
    let (tell, _) = tokio::sync::mpsc::channel(1);
    Shared::new("fuzzed", true, (policy, Injector::default()), common, tell)
}

/// A question to an agent's name server.
///
/// # Panics
/// A name has an address that is not allowed, or an address that is not synthetic.
pub fn dns(data: &[u8]) {
    for most in [Some(dns::UDP_BYTES_MAX), None] {
        let answer = AGENT.with_borrow(|agent| dns::answer(agent, data, most));
        let Some(answer) = answer else { continue };
        assert!(most.is_none_or(|most| answer.len() <= most));
        let said = Message::from_vec(&answer).expect("an answer can be read");
        assert_eq!(said.metadata.message_type, MessageType::Response);
        assert_eq!(said.metadata.id.to_be_bytes(), data[..2]);
        for record in &said.answers {
            let name = record.name.to_ascii().to_ascii_lowercase();
            assert!(name.ends_with(".allowed.example."), "{name}");
            let ip: IpAddr = match &record.data {
                RData::A(a) => a.0.into(),
                RData::AAAA(aaaa) => aaaa.0.into(),
                other => panic!("{other:?}"),
            };
            let named = AGENT.with_borrow(|agent| agent.names().name(ip));
            assert!(
                matches!(named, Ok(Some(_))),
                "{}",
                SocketAddr::from((ip, 53))
            );
        }
    }
}
