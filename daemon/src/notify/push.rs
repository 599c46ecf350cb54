//! Web Push: what a push service gets (RFC 8030), sealed for the browser (RFC 8291, 8188) and signed
//! by this host (RFC 8292).

pub mod endpoint;
pub mod seal;
pub mod vapid;

/// Decodes base64url, with or without padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Encodes base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    URL_SAFE_NO_PAD.encode(bytes)
}
