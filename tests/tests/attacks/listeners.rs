//! Who listens on the host, and what it heard: the oracle of everything that is sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::scene::Ground;

/// Listeners stay until the process ends, so each world has names of its own.
static WORLDS: AtomicU32 = AtomicU32::new(0);

type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// Threads that listen until the test ends.
#[derive(Debug)]
pub(crate) struct Listeners {
    heard: Heard,
    /// TCP on 127.0.0.1, IPv6 too; no template names it.
    pub(crate) tcp: u16,
    /// UDP on 127.0.0.1.
    pub(crate) udp: u16,
    /// TCP on 127.0.0.1, which the template allows as allowed.example.
    pub(crate) allowed: u16,
    /// TCP on every address of the host.
    pub(crate) everywhere: u16,
    /// An abstract name.
    pub(crate) name: String,
}

impl Listeners {
    /// Starts all of them; socket files lie in the hidden and in the shown part of the ground.
    pub(crate) fn start(ground: &Ground) -> Listeners {
        let heard = Heard::default();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let allowed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let ports = [&tcp, &allowed, &everywhere]
            .map(|listener| listener.local_addr().expect("bound").port());
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, ports[0])).expect("the same port of IPv6");
        for (who, listener) in [
            ("TCP", tcp),
            ("TCP on IPv6", v6),
            ("the allowed TCP", allowed),
            ("TCP everywhere", everywhere),
        ] {
            accept(&heard, who, move || {
                listener.accept().map(|(stream, _)| stream)
            });
        }
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let udp_port = udp.local_addr().expect("bound").port();
        receive(&heard, "UDP", move |buffer| udp.recv(buffer));
        for part in ["hidden", "shown"] {
            let path = ground.0.join(part);
            let stream = UnixListener::bind(path.join("socket")).expect("root writes");
            accept(&heard, "a socket file", move || {
                stream.accept().map(|(stream, _)| stream)
            });
            let datagram = UnixDatagram::bind(path.join("datagrams")).expect("root writes");
            receive(&heard, "a datagram socket file", move |buffer| {
                datagram.recv(buffer)
            });
            for name in ["socket", "datagrams"] {
                let anyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                std::fs::set_permissions(path.join(name), anyone).expect("our own file");
            }
        }
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("wsm-attack-{}-{world}", std::process::id());
        let address = |name: &str| SocketAddr::from_abstract_name(name).expect("a short name");
        let stream = UnixListener::bind_addr(&address(&name)).expect("a free name");
        accept(&heard, "an abstract socket", move || {
            stream.accept().map(|(stream, _)| stream)
        });
        let datagram =
            UnixDatagram::bind_addr(&address(&format!("{name}-d"))).expect("a free name");
        receive(&heard, "an abstract datagram socket", move |buffer| {
            datagram.recv(buffer)
        });
        Listeners {
            heard,
            tcp: ports[0],
            udp: udp_port,
            allowed: ports[1],
            everywhere: ports[2],
            name,
        }
    }

    /// Who heard the case of this name, if anybody did.
    pub(crate) fn heard(&self, name: &str) -> Option<String> {
        let all = self.heard.lock().expect("nobody panics with it");
        let found = all.iter().find(|(_, text)| text.contains(name));
        found.map(|(who, _)| who.clone())
    }

    /// Forgets everything: the next case shall not be blamed.
    pub(crate) fn forget(&self) {
        self.heard.lock().expect("nobody panics with it").clear();
    }
}

/// `/hop/CODE/HOST:PORT/PATH` sends on; in PATH `+` stands for `-`, so that the name of a case is not
/// heard at the first hop.
fn answer(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let path = text
        .split(' ')
        .nth(1)
        .and_then(|path| path.strip_prefix("/hop/"));
    match path.and_then(|path| path.split_once('/')) {
        None => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n".into(),
        Some((code, to)) => format!(
            "HTTP/1.1 {code} Elsewhere\r\nlocation: http://{}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            to.replace('+', "-")
        ),
    }
}

fn note(heard: &Heard, who: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    heard
        .lock()
        .expect("nobody panics with it")
        .push((who.to_owned(), text));
}

trait Stream: Read + Write + Send + 'static {
    fn patience(&self);
}

impl Stream for std::net::TcpStream {
    fn patience(&self) {
        self.set_read_timeout(Some(Duration::from_secs(2)))
            .expect("not zero");
    }
}

impl Stream for std::os::unix::net::UnixStream {
    fn patience(&self) {
        self.set_read_timeout(Some(Duration::from_secs(2)))
            .expect("not zero");
    }
}

fn accept<S: Stream>(
    heard: &Heard,
    who: &'static str,
    next: impl Fn() -> std::io::Result<S> + Send + 'static,
) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        while let Ok(mut stream) = next() {
            let heard = Arc::clone(&heard);
            thread::spawn(move || {
                stream.patience();
                let mut buffer = [0; 8192];
                if let Ok(length @ 1..) = stream.read(&mut buffer) {
                    note(&heard, who, &buffer[..length]);
                    drop(stream.write_all(answer(&buffer[..length]).as_bytes()));
                }
            });
        }
    });
}

fn receive(
    heard: &Heard,
    who: &'static str,
    next: impl Fn(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length) = next(&mut buffer) {
            note(&heard, who, &buffer[..length]);
        }
    });
}
