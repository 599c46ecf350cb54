//! Both directions between real sockets: what passes, what waits, how it ends.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use tungstenite::WebSocket;
use tungstenite::protocol::Role as Side;
use wsm_terminal::protocol::Decoder;

use super::*;
use crate::client::{Way, Wire};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client and a shim, and the thread between them.
struct Lab<S> {
    client: WebSocket<S>,
    shim: UnixStream,
    /// Ends the right.
    end: tokio::sync::oneshot::Sender<Problem>,
    /// Gives the time that it had the CPU.
    thread: JoinHandle<Duration>,
    _runtime: tokio::runtime::Runtime,
}

fn lab(role: Role) -> Lab<UnixStream> {
    let (client, wire) = UnixStream::pair().unwrap();
    wire.set_nonblocking(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    between(client, Wire::new(Way::Unix(wire)), role)
}

fn between<S: Read + Write>(client: S, wire: Wire, role: Role) -> Lab<S> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_io()
        .build()
        .unwrap();
    let (shim, near) = UnixStream::pair().unwrap();
    shim.set_read_timeout(Some(PATIENCE)).unwrap();
    near.set_nonblocking(true).unwrap();
    let (end, ended) = tokio::sync::oneshot::channel();
    let over = async {
        match ended.await {
            Ok(problem) => problem,
            Err(_) => std::future::pending().await,
        }
    };
    let near = runtime.block_on(async {
        let near = tokio::net::UnixStream::from_std(near).unwrap();
        Shim::new(near, over, || {}).unwrap()
    });
    let thread = std::thread::spawn(move || {
        let server = Client::from_raw_socket(wire, Side::Server, Some(role.config()));
        let hello = Message::Binary(vec![1, 2, 3].into());
        run(server, &near, role, Some(hello));
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let nanos = spent.split(' ').next().unwrap().parse().unwrap();
        Duration::from_nanos(nanos)
    });
    let mut client = WebSocket::from_raw_socket(client, Side::Client, None);
    let hello = client.read().unwrap();
    assert_eq!(hello.into_data()[..], [1, 2, 3]);
    Lab {
        client,
        shim,
        end,
        thread,
        _runtime: runtime,
    }
}

impl<S: Read + Write> Lab<S> {
    fn client_sends(&mut self, frame: &Frame) {
        let message = Message::Binary(frame.encode_message().into());
        self.client.send(message).unwrap();
    }

    fn client_gets(&mut self) -> Option<Frame> {
        match self.client.read().unwrap() {
            Message::Binary(message) => Frame::decode_message(&message).unwrap(),
            Message::Close(_) => None,
            other => panic!("{other:?}"),
        }
    }

    fn shim_sends(&mut self, frame: &Frame) {
        let mut wire = Vec::new();
        frame.clone().encode(&mut wire);
        self.shim.write_all(&wire).unwrap();
    }

    fn shim_gets(&mut self) -> Frame {
        let mut head = [0; 4];
        self.shim.read_exact(&mut head).unwrap();
        let mut frame = vec![0; u32::from_le_bytes(head) as usize];
        self.shim.read_exact(&mut frame).unwrap();
        Frame::decode_message(&frame).unwrap().unwrap()
    }
}

fn key(number: u64, bytes: Vec<u8>) -> Frame {
    Frame::Input {
        epoch: 0,
        number,
        bytes,
    }
}

fn output(seq: u64, bytes: Vec<u8>) -> Frame {
    Frame::Output { seq, bytes }
}

fn problem() -> Problem {
    Problem::new(Code::Refused, "the share has ended", "")
}

#[test]
fn keys_go_up_and_output_comes_down() {
    let mut lab = lab(Role::Viewer);
    for number in 0..50 {
        lab.client_sends(&key(number, vec![b'x']));
        assert_eq!(lab.shim_gets(), key(number, vec![b'x']));
        lab.shim_sends(&output(number, vec![b'y']));
        assert_eq!(lab.client_gets(), Some(output(number, vec![b'y'])));
    }
    lab.client.send(Message::Ping(vec![7].into())).unwrap();
    assert_eq!(lab.client.read().unwrap(), Message::Pong(vec![7].into()));
    lab.client.close(None).unwrap();
    assert_eq!(lab.client_gets(), None);
    lab.thread.join().unwrap();
    assert_eq!(lab.shim.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_last_words_of_a_shim_reach_who_still_types() {
    let mut lab = lab(Role::Viewer);
    for number in 0..50 {
        lab.client_sends(&key(number, vec![b'x'; 1000]));
    }
    lab.shim_sends(&output(7, vec![b'y'; 100_000]));
    // It has not read what was typed: the other end gets a reset after what was sent.
    drop(lab.shim);
    lab.shim = UnixStream::pair().unwrap().0;
    assert_eq!(lab.client_gets(), Some(output(7, vec![b'y'; 100_000])));
    assert_eq!(lab.client_gets(), None);
    lab.thread.join().unwrap();
}

#[test]
fn a_right_that_ends_is_told_as_the_role_hears_it() {
    let mut viewer = lab(Role::Viewer);
    viewer.end.send(problem()).unwrap();
    viewer.end = tokio::sync::oneshot::channel().0;
    let reason = problem().message;
    assert_eq!(viewer.client_gets(), Some(Frame::Refused { reason }));
    assert_eq!(viewer.client_gets(), None);
    viewer.thread.join().unwrap();

    let mut stream = lab(Role::Stream);
    stream.end.send(problem()).unwrap();
    let Message::Text(text) = stream.client.read().unwrap() else {
        panic!("a problem is text");
    };
    assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem());
    stream.thread.join().unwrap();
}

#[test]
fn who_does_not_read_holds_up_the_shim_and_costs_nothing() {
    let mut lab = lab(Role::Viewer);
    let begun = Instant::now();
    lab.shim.set_nonblocking(true).unwrap();
    let mut wire = Vec::new();
    output(0, vec![b'z'; 10_000]).encode(&mut wire);
    let (mut taken, mut full) = (0, None);
    // Full for good, not for the moment that the thread takes.
    while full.is_none_or(|at: Instant| at.elapsed() < Duration::from_millis(300)) {
        match lab.shim.write(&wire) {
            Ok(written) => (taken, full) = (taken + written, None),
            Err(_) => full = full.or(Some(Instant::now())),
        }
        assert!(taken < 4 << 20, "somebody keeps it all");
    }
    // It can't be told that the shim is gone, nor is anything to be had of the shim.
    drop(lab.shim);
    lab.end.send(problem()).unwrap();
    let spent = lab.thread.join().unwrap();
    assert!(spent < begun.elapsed() / 3, "{spent:?} spent on waiting");
    drop(lab.client);
}

#[test]
fn a_shim_that_does_not_read_holds_up_the_client_alone() {
    let mut lab = lab(Role::Stream);
    let wait = Some(Duration::from_millis(300));
    lab.client.get_ref().set_write_timeout(wait).unwrap();
    let fed = Message::Binary(Frame::Stdin(vec![0; 50_000]).encode_message().into());
    let mut taken = 0;
    while lab.client.send(fed.clone()).is_ok() {
        taken += 1;
        assert!(taken < 100, "somebody keeps it all");
    }
    lab.shim_sends(&Frame::Stdout(vec![5]));
    lab.client.get_ref().set_write_timeout(None).unwrap();
    let stdout = std::thread::spawn(move || {
        // Reading tries to send the rest first.
        loop {
            if let Message::Binary(message) = lab.client.read().unwrap() {
                break (lab.client, Frame::decode_message(&message).unwrap());
            }
        }
    });
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut came = 0;
    while came <= taken {
        let read = lab.shim.read(&mut buffer).unwrap();
        decoder.push(&buffer[..read]);
        while let Some(frame) = decoder.next_frame().unwrap() {
            assert_eq!(frame, Frame::Stdin(vec![0; 50_000]));
            came += 1;
        }
        if came == taken && stdout.is_finished() {
            break;
        }
    }
    assert_eq!(stdout.join().unwrap().1, Some(Frame::Stdout(vec![5])));
    drop(lab.shim);
    lab.thread.join().unwrap();
}

#[test]
fn a_frame_that_is_not_its_to_send_ends_the_client() {
    let mut lab = lab(Role::Stream);
    lab.client_sends(&key(1, vec![3]));
    assert!(lab.client.read().is_err());
    lab.thread.join().unwrap();
    assert_eq!(lab.shim.read(&mut [0]).unwrap(), 0);
}

/// Both ends of a connection over TLS, shaken hands.
fn tls() -> (
    rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    Wire,
) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.unwrap())
        .unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = rustls::StreamOwned::new(
        rustls::ClientConnection::new(Arc::new(client), name).unwrap(),
        TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
    );
    let mut tcp = listener.accept().unwrap().0;
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
    let shaking = std::thread::spawn(move || {
        server.complete_io(&mut tcp).unwrap();
        tcp.set_nonblocking(true).unwrap();
        Wire::new(Way::Tls(Box::new(server), tcp))
    });
    client.conn.complete_io(&mut client.sock).unwrap();
    client.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, shaking.join().unwrap())
}

#[test]
fn floods_pass_over_tls_both_ways() {
    let (client, wire) = tls();
    let mut lab = between(client, wire, Role::Stream);
    let pieces = 0..200u8;
    let piece = |number: u8| vec![number; 20_000];
    let mut shim = lab.shim.try_clone().unwrap();
    let all = pieces.clone();
    let far = std::thread::spawn(move || {
        let (mut decoder, mut buffer) = (Decoder::default(), vec![0; 64 * 1024]);
        for number in all.clone() {
            let frame = loop {
                if let Some(frame) = decoder.next_frame().unwrap() {
                    break frame;
                }
                let read = shim.read(&mut buffer).unwrap();
                decoder.push(&buffer[..read]);
            };
            assert_eq!(frame, Frame::Stdin(piece(number)));
        }
        for number in all {
            let mut wire = Vec::new();
            Frame::Stdout(piece(number)).encode(&mut wire);
            shim.write_all(&wire).unwrap();
        }
        shim.shutdown(Shutdown::Both).unwrap();
    });
    for number in pieces.clone() {
        lab.client_sends(&Frame::Stdin(piece(number)));
    }
    for number in pieces {
        assert_eq!(lab.client_gets(), Some(Frame::Stdout(piece(number))));
    }
    assert_eq!(lab.client_gets(), None);
    far.join().unwrap();
    drop(lab.client);
    lab.thread.join().unwrap();
}

#[test]
fn frames_come_out_whole_whatever_the_pieces() {
    let frames = [Frame::Ping, Frame::Stdout(vec![7; 300]), Frame::StdinEnd];
    let mut wire = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut wire));
    for piece in [1, 3, 4, 5, 1000] {
        let mut buffer = Vec::new();
        let mut seen = Vec::new();
        for bytes in wire.chunks(piece) {
            buffer.extend_from_slice(bytes);
            while let Some(frame) = first_frame(&buffer).unwrap() {
                seen.push(Frame::decode_message(frame).unwrap().unwrap());
                buffer.drain(..4 + frame.len());
            }
        }
        assert_eq!(seen, frames);
    }
}

#[test]
fn what_a_command_is_fed_comes_in_pieces() {
    let fed: Vec<u8> = (0..FRAME_BYTES_MAX - 1)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let mut wire = Vec::new();
    encode(Frame::Stdin(fed.clone()), &mut wire);
    let (mut rest, mut got) = (&wire[..], Vec::new());
    while let Some(frame) = first_frame(rest).unwrap() {
        assert!(frame.len() <= STDIN_BYTES + 1);
        rest = &rest[4 + frame.len()..];
        match Frame::decode_message(frame).unwrap() {
            Some(Frame::Stdin(piece)) => got.extend(piece),
            other => panic!("{other:?}"),
        }
    }
    assert!(got == fed);
}

#[test]
fn a_length_out_of_bounds_ends_the_connection() {
    for length in [0, FRAME_BYTES_MAX + 1, u32::MAX as usize] {
        let length = u32::try_from(length).unwrap().to_le_bytes();
        assert!(first_frame(&length).is_err());
    }
}

#[test]
fn roles_can_not_start_or_signal_processes() {
    let start = Frame::Request(1, wsm_terminal::protocol::Request::List);
    assert!(!Role::Viewer.may_send(&start) && !Role::Stream.may_send(&start));
    assert!(Role::Viewer.may_send(&Frame::Input {
        epoch: 0,
        number: 1,
        bytes: vec![3]
    }));
    assert!(!Role::Stream.may_send(&Frame::Input {
        epoch: 0,
        number: 1,
        bytes: vec![3]
    }));
    assert!(Role::Stream.may_send(&Frame::StdinEnd));
}

#[test]
fn a_goodbye_is_answered_over_tls_too() {
    let (client, wire) = tls();
    let mut lab = between(client, wire, Role::Viewer);
    lab.client.close(None).unwrap();
    assert_eq!(lab.client_gets(), None);
    lab.thread.join().unwrap();
}

#[test]
fn a_message_without_end_does_not_outlive_the_right_to_send_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let wire = listener.accept().unwrap().0;
    wire.set_nonblocking(true).unwrap();
    let mut raw = client.try_clone().unwrap();
    let lab = between(client, Wire::new(Way::Tcp(wire)), Role::Stream);
    let (sent, first) = std::sync::mpsc::channel();
    let sender = std::thread::spawn(move || {
        // The first fragment of a binary message, and empty ones after it (RFC 6455, 5.4).
        let head = [[0x02, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]];
        raw.write_all(&head[0]).unwrap();
        let more = head[1].repeat(10_000);
        while raw.write_all(&more).is_ok() {
            // Somebody waits for the first alone.
            sent.send(()).ok();
        }
    });
    first.recv().unwrap();
    lab.end.send(problem()).unwrap();
    lab.thread.join().unwrap();
    sender.join().unwrap();
}

#[test]
fn who_asks_for_pongs_and_reads_none_fills_no_memory() {
    let mut lab = lab(Role::Viewer);
    let mut raw = lab.client.get_ref().try_clone().unwrap();
    let ping = |payload: [u8; 100]| [&[0x89, 0x80 | 100, 0, 0, 0, 0][..], &payload].concat();
    let many = ping([1; 100]).repeat(1000);
    for _ in 0..300 {
        raw.write_all(&many).unwrap();
    }
    raw.write_all(&ping([2; 100])).unwrap();
    let mut kept = 0;
    loop {
        let pong = lab.client.read().unwrap().into_data();
        kept += pong.len();
        if pong[0] == 2 {
            break;
        }
    }
    // Of 30 MB; what the kernel keeps of a connection comes to it.
    assert!(kept < 2 * UNSENT_BYTES_MAX, "{kept}");
    drop((lab.client, raw));
    lab.thread.join().unwrap();
}
