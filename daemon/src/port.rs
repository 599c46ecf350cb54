//! Ports: fixed inside, leased outside.
//!
//! A lease is a listening socket on the host's loopback that the daemon holds: nobody else can
//! have the port while it does. [`Forward`] carries what arrives there to the port inside, through
//! sockets that the broker made in the agent's network namespace ([`SocketSource`]).

mod forward;
mod lease;
mod source;

pub use forward::{CONNECTIONS_MAX, Forward};
pub use lease::{LeaseError, Leased, RANGE_DEFAULT, Want, lease};
pub use source::SocketSource;
#[cfg(test)]
pub(crate) use source::tests::local_sockets;
