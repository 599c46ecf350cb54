//! Grants a repository as the user that runs it: `grant SOCKET TREE GIT_DIR`. For tests.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    socket,
};
use wsm_sandbox::protocol::{Envelope, PACKET_BYTES_MAX, PROTOCOL_VERSION, Purpose, Request};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, tree, git] = args.as_slice() else {
        panic!("grant SOCKET TREE GIT_DIR");
    };
    let (tree, git) = (File::open(tree).expect("a tree"), File::open(git).expect("a git dir"));
    let flags = SockFlag::SOCK_CLOEXEC;
    let broker = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).expect("a socket");
    let address = UnixAddr::new(path.as_str()).expect("a short path");
    connect(broker.as_raw_fd(), &address).expect("a broker");
    let request = Request::Grant { purpose: Purpose::Repository };
    let envelope = Envelope { version: PROTOCOL_VERSION, request };
    let bytes = serde_json::to_vec(&envelope).expect("serializes");
    let fds = [tree.as_raw_fd(), git.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let iov = [IoSlice::new(&bytes)];
    sendmsg::<()>(broker.as_raw_fd(), &iov, &rights, MsgFlags::empty(), None).expect("sent");
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let length = recv(broker.as_raw_fd(), &mut bytes, MsgFlags::empty()).expect("an answer");
    std::io::stdout().write_all(&bytes[..length]).expect("a reader");
}
