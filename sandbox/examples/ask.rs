//! Asks the broker as the user that runs it: `ask SOCKET REQUEST [DIRECTORY…]`. For tests.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    socket,
};
use wsm_sandbox::protocol::{Envelope, PACKET_BYTES_MAX, PROTOCOL_VERSION};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, request, directories @ ..] = args.as_slice() else {
        panic!("ask SOCKET REQUEST [DIRECTORY…]");
    };
    let files: Vec<File> = directories
        .iter()
        .map(|path| File::open(path).expect("a directory"))
        .collect();
    let flags = SockFlag::SOCK_CLOEXEC;
    let broker = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).expect("a socket");
    let address = UnixAddr::new(path.as_str()).expect("a short path");
    connect(broker.as_raw_fd(), &address).expect("a broker");
    let request = serde_json::from_str(request).expect("a request");
    let envelope = Envelope {
        version: PROTOCOL_VERSION,
        request,
    };
    let bytes = serde_json::to_vec(&envelope).expect("serializes");
    let fds: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    let iov = [IoSlice::new(&bytes)];
    sendmsg::<()>(broker.as_raw_fd(), &iov, rights, MsgFlags::empty(), None).expect("sent");
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let length = recv(broker.as_raw_fd(), &mut bytes, MsgFlags::empty()).expect("an answer");
    std::io::stdout()
        .write_all(&bytes[..length])
        .expect("a reader");
}
