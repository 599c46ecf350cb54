//! Users, tokens, devices, invitations and shares: rows, and the closed set of their changes.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use super::link::{self, LinkRow};
use super::{StoreError, signed};
use crate::role::{AgentRole, HostRole, Scope};

mod read;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Name.
    pub name: String,
    /// Role on the host.
    pub role: HostRole,
    /// Uid of the Unix account.
    pub uid: Option<u32>,
    /// Since when, milliseconds since the epoch.
    pub created_ms: u64,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// What it is for.
    pub label: String,
    /// SHA-256 of its value.
    pub hash: [u8; 32],
    /// What it is good for.
    pub scope: Scope,
    /// The only agents that it is good for.
    pub agents: Option<BTreeSet<String>>,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
    /// When it was used last.
    pub used_ms: Option<u64>,
    /// From where.
    pub address: String,
}

/// A device: a session's cookie or a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// Its name, in its user's words.
    pub label: String,
    /// `session` or `passkey`.
    pub kind: String,
    /// SHA-256 of a session's cookie.
    pub hash: Option<[u8; 32]>,
    /// A passkey's public half, JSON.
    pub credential: Option<String>,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
    /// When it was used last.
    pub used_ms: Option<u64>,
    /// From where.
    pub address: String,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// Id.
    pub id: String,
    /// SHA-256 of its value.
    pub hash: [u8; 32],
    /// Name of the user that is to come.
    pub user: String,
    /// Role on the host.
    pub role: HostRole,
    /// Who invited.
    pub made_by: String,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// When it was used; good once.
    pub used_ms: Option<u64>,
}

/// A share of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// Id of the agent.
    pub agent: String,
    /// With whom.
    pub user: String,
    /// As what.
    pub role: AgentRole,
    /// By whom.
    pub made_by: String,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: Option<u64>,
}

/// A change of people; goes with its journal row into [`super::Change::people`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum People {
    /// Adds a user, or changes role and account of one.
    User(UserRow),
    /// Adds a user if there is none of this name.
    Known(UserRow),
    /// Removes a user with all of its tokens, devices and shares.
    UserGone(String),
    /// Adds a token.
    Token(TokenRow),
    /// Ends a token: id, when.
    TokenRevoked(String, u64),
    /// Adds a device, or changes the credential and the end of one.
    Device(DeviceRow),
    /// Ends a device: id, when.
    DeviceRevoked(String, u64),
    /// Adds an invitation.
    Invite(InviteRow),
    /// Uses an invitation up: id, when.
    InviteUsed(String, u64),
    /// Shares an agent, or changes a share.
    Share(ShareRow),
    /// Ends a share: agent, user.
    Unshare(String, String),
    /// A share has ended by itself: agent, user, when at the latest.
    ShareEnded(String, String, u64),
    /// Adds a link.
    Link(LinkRow),
    /// Ends a link: id.
    LinkGone(String),
}

/// Writes one change.
pub(super) fn write(tx: &Transaction<'_>, change: &People) -> Result<(), StoreError> {
    match change {
        People::User(user) => write_user(
            tx,
            user,
            "DO UPDATE SET role = excluded.role, uid = excluded.uid",
        ),
        People::Known(user) => write_user(tx, user, "DO NOTHING"),
        People::UserGone(name) => {
            for table in ["token", "device", "share"] {
                tx.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [name])?;
            }
            tx.execute("DELETE FROM user WHERE name = ?1", [name])?;
            Ok(())
        }
        People::Token(token) => write_token(tx, token),
        People::TokenRevoked(id, at) => {
            let sql = "UPDATE token SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
            once(tx.execute(sql, params![id, signed(*at)])?)
        }
        People::Device(device) => write_device(tx, device),
        People::DeviceRevoked(id, at) => {
            let sql = "UPDATE device SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
            once(tx.execute(sql, params![id, signed(*at)])?)
        }
        People::Invite(invite) => write_invite(tx, invite),
        People::InviteUsed(id, at) => {
            let sql = "UPDATE invite SET used_ms = ?2 WHERE id = ?1 AND used_ms IS NULL";
            once(tx.execute(sql, params![id, signed(*at)])?)
        }
        People::Share(share) => {
            tx.execute(
                "INSERT INTO share (agent, user, role, made_by, created_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (agent, user) DO UPDATE SET role = excluded.role,
                 made_by = excluded.made_by, created_ms = excluded.created_ms,
                 expires_ms = excluded.expires_ms",
                params![
                    share.agent,
                    share.user,
                    share.role.as_str(),
                    share.made_by,
                    signed(share.created_ms),
                    share.expires_ms.map(signed)
                ],
            )?;
            Ok(())
        }
        People::Unshare(agent, user) => once(tx.execute(
            "DELETE FROM share WHERE agent = ?1 AND user = ?2",
            [agent, user],
        )?),
        People::ShareEnded(agent, user, at) => once(tx.execute(
            "DELETE FROM share WHERE agent = ?1 AND user = ?2 AND expires_ms <= ?3",
            params![agent, user, signed(*at)],
        )?),
        People::Link(row) => link::add(tx, row),
        People::LinkGone(id) => once(link::remove(tx, id)?),
    }
}

/// What can be done once only was done just now, or this is too late.
fn once(changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Gone)
    }
}

fn write_user(tx: &Transaction<'_>, user: &UserRow, known: &str) -> Result<(), StoreError> {
    tx.execute(
        &format!(
            "INSERT INTO user (name, role, uid, created_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) {known}"
        ),
        params![
            user.name,
            user.role.as_str(),
            user.uid,
            signed(user.created_ms)
        ],
    )?;
    Ok(())
}

fn write_token(tx: &Transaction<'_>, token: &TokenRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO token (id, user, label, hash, scope, agents, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            token.id,
            token.user,
            token.label,
            token.hash,
            token.scope.as_str(),
            serde_json::to_string(&token.agents)?,
            signed(token.created_ms),
            signed(token.expires_ms)
        ],
    )?;
    Ok(())
}

fn write_device(tx: &Transaction<'_>, device: &DeviceRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO device (id, user, label, kind, hash, credential, created_ms, expires_ms, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET credential = excluded.credential,
         expires_ms = excluded.expires_ms",
        params![
            device.id,
            device.user,
            device.label,
            device.kind,
            device.hash,
            device.credential,
            signed(device.created_ms),
            device.expires_ms.map(signed),
            device.address
        ],
    )?;
    Ok(())
}

fn write_invite(tx: &Transaction<'_>, invite: &InviteRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO invite (id, hash, user, role, made_by, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            invite.id,
            invite.hash,
            invite.user,
            invite.role.as_str(),
            invite.made_by,
            signed(invite.created_ms),
            signed(invite.expires_ms)
        ],
    )?;
    Ok(())
}
