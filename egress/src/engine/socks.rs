//! SOCKS5 (RFC 1928), `CONNECT` without authentication: all that programs use.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::host::BadHost;
use crate::policy::Ask;
use crate::way::{self, SocksAddress};

/// First byte of everything.
pub(super) const VERSION: u8 = 5;
/// Replies.
pub(super) const DONE: u8 = 0;
pub(super) const NOT_ALLOWED: u8 = 2;
const NO_SUCH_COMMAND: u8 = 7;

/// Reads greeting and request; `first` holds what was read already, and keeps what comes after.
/// `None` when it was answered with a refusal.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    first: &mut BytesMut,
) -> io::Result<Option<Result<Ask, BadHost>>> {
    let [_, methods] = take(stream, first).await?;
    let methods = take_many(stream, first, usize::from(methods)).await?;
    if !methods.contains(&0) {
        stream.write_all(&[VERSION, 0xff]).await?;
        return Ok(None);
    }
    stream.write_all(&[VERSION, 0]).await?;
    let [version, command, _, kind] = take(stream, first).await?;
    if version != VERSION || command != 1 {
        reply(stream, NO_SUCH_COMMAND).await?;
        return Ok(None);
    }
    let address = match kind {
        1 => SocksAddress::V4(take(stream, first).await?),
        4 => SocksAddress::V6(take(stream, first).await?),
        3 => {
            let [length] = take(stream, first).await?;
            SocksAddress::Name(take_many(stream, first, usize::from(length)).await?)
        }
        _ => {
            reply(stream, NO_SUCH_COMMAND).await?;
            return Ok(None);
        }
    };
    let port = u16::from_be_bytes(take(stream, first).await?);
    Ok(Some(way::socks(&address, port)))
}

/// Answers a request; the address bound is nobody's business.
pub(super) async fn reply(stream: &mut (impl AsyncWrite + Unpin), code: u8) -> io::Result<()> {
    let bytes = [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(&bytes).await
}

async fn take_many(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut BytesMut,
    count: usize,
) -> io::Result<Vec<u8>> {
    while first.len() < count {
        if stream.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(first.split_to(count).to_vec())
}

async fn take<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut BytesMut,
) -> io::Result<[u8; N]> {
    let bytes = take_many(stream, first, N).await?;
    let mut taken = [0; N];
    bytes.as_slice().copy_to_slice(&mut taken);
    Ok(taken)
}
