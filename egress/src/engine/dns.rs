//! The name server of an agent: what it may reach has a synthetic address, all else does not
//! exist. No question leaves the host; a name is looked up when a connection to it was allowed.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::agent::Shared;
use crate::policy::{Ask, Denial};
use crate::way;

/// Longest answer by UDP: one name and one address are far below.
pub(super) const UDP_BYTES_MAX: usize = 512;
/// How long a program may remember an address, in seconds.
const TTL: u32 = 60;

/// Answers a question; nothing to what is no question.
pub(super) fn answer(shared: &Shared, question: &[u8], most: Option<usize>) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    if asked.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut said = Message::response(asked.metadata.id, asked.metadata.op_code);
    said.metadata.recursion_desired = asked.metadata.recursion_desired;
    said.metadata.recursion_available = true;
    said.metadata.response_code = match (asked.metadata.op_code, asked.queries.as_slice()) {
        (OpCode::Query, [query]) => {
            said.add_query(query.clone());
            resolve(shared, query, &mut said)
        }
        (OpCode::Query, _) => ResponseCode::FormErr,
        _ => ResponseCode::NotImp,
    };
    let bytes = said.to_vec().ok()?;
    Some(bytes).filter(|bytes| most.is_none_or(|most| bytes.len() <= most))
}

fn resolve(shared: &Shared, query: &Query, said: &mut Message) -> ResponseCode {
    if query.query_class != DNSClass::IN {
        return ResponseCode::Refused;
    }
    let text = query.name.to_ascii();
    let ask = match way::dns(&text) {
        Ok(ask) => ask,
        Err(bad) => {
            // Service and reverse names are asked for by the way; they are nobody's host.
            if !text.contains('_') && !text.to_ascii_lowercase().ends_with(".arpa.") {
                let why = format!("{text:?}: {bad}");
                shared.denied("a name that is none", "dns", &Denial { why, missing: None });
            }
            return ResponseCode::NXDomain;
        }
    };
    let Ask::Resolve { host } = &ask else {
        return ResponseCode::NXDomain;
    };
    // A name without a dot is one of a local network that does not exist here.
    if !host.to_string().contains('.') || shared.decide(&ask, "dns").is_err() {
        return ResponseCode::NXDomain;
    }
    let wanted = match query.query_type {
        RecordType::A => true,
        RecordType::AAAA => shared.ipv6,
        _ => false,
    };
    if wanted {
        let (v4, v6) = shared.names().addresses(host);
        let data = if query.query_type == RecordType::A {
            RData::A(A(v4))
        } else {
            RData::AAAA(AAAA(v6))
        };
        said.add_answer(Record::from_rdata(query.name.clone(), TTL, data));
    }
    // Of other types there is nothing: no service binding that would lead around (HTTPS, SVCB).
    ResponseCode::NoError
}
