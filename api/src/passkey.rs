//! Passkeys, in the JSON of WebAuthn: what `PublicKeyCredential` reads and writes by itself.

use serde::{Deserialize, Serialize};

/// What `navigator.credentials.create` is given (`parseCreationOptionsFromJSON`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    /// This host.
    pub rp: Party,
    /// Who it will be for.
    pub user: PasskeyUser,
    /// Good once, for five minutes; base64url.
    pub challenge: String,
    /// Signatures that are understood, the best first.
    pub pub_key_cred_params: Vec<Algorithm>,
    /// Milliseconds.
    pub timeout: u32,
    /// Passkeys that the user has: none is made twice.
    pub exclude_credentials: Vec<KnownPasskey>,
    /// What the authenticator must do.
    pub authenticator_selection: Selection,
    /// `none`.
    pub attestation: String,
}

/// This host, to an authenticator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Party {
    /// Its name.
    pub id: String,
    /// The same, for people.
    pub name: String,
}

/// A user, to an authenticator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PasskeyUser {
    /// Says nothing of who it is; base64url.
    pub id: String,
    /// The wsm user.
    pub name: String,
    /// The same, for people.
    pub display_name: String,
}

/// A kind of signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Algorithm {
    /// `public-key`.
    pub r#type: String,
    /// COSE number: -8, -7, -257.
    pub alg: i32,
}

/// A passkey that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KnownPasskey {
    /// `public-key`.
    pub r#type: String,
    /// Its id, base64url.
    pub id: String,
}

/// What an authenticator must do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// `required`: it is found without a user's name.
    pub resident_key: String,
    /// The same, for older browsers.
    pub require_resident_key: bool,
    /// `required`: a finger, a face, a PIN.
    pub user_verification: String,
}

/// What `navigator.credentials.get` is given (`parseRequestOptionsFromJSON`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// Good once, for five minutes; base64url.
    pub challenge: String,
    /// Milliseconds.
    pub timeout: u32,
    /// Name of this host.
    pub rp_id: String,
    /// Passkeys that would do; none: the authenticator shows what it has.
    pub allow_credentials: Vec<KnownPasskey>,
    /// `required`.
    pub user_verification: String,
}

/// Request to log in with a passkey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeyLogin {
    /// Who wants in; the authenticator shows whom it has, without.
    #[serde(default)]
    pub user: Option<String>,
}

/// A passkey that was made (`toJSON` of the credential).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewPasskey {
    /// The credential.
    pub credential: Created,
    /// What its user calls it.
    #[serde(default)]
    pub name: String,
}

/// A credential that was made; what is not named here is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Created {
    /// Its id, base64url.
    pub id: String,
    /// What the authenticator said.
    pub response: CreatedResponse,
}

/// What an authenticator said that made one; all base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedResponse {
    /// What the browser says of the ceremony.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: String,
    /// What the authenticator says (`getAuthenticatorData()`).
    pub authenticator_data: String,
    /// Its key, a `SubjectPublicKeyInfo` (`getPublicKey()`).
    pub public_key: String,
    /// Which kind (`getPublicKeyAlgorithm()`).
    pub public_key_algorithm: i32,
}

/// A passkey that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShownPasskey {
    /// The credential.
    pub credential: Asserted,
    /// What this device is called.
    #[serde(default)]
    pub device_name: String,
}

/// A credential that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asserted {
    /// Its id, base64url.
    pub id: String,
    /// What the authenticator said.
    pub response: AssertedResponse,
}

/// What an authenticator said that signed; all base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssertedResponse {
    /// What the browser says of the ceremony.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: String,
    /// What the authenticator says.
    pub authenticator_data: String,
    /// Its signature of both.
    pub signature: String,
    /// Who it is for.
    #[serde(default)]
    pub user_handle: Option<String>,
}
