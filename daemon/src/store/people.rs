//! Users, tokens, devices, invitations and shares: rows, and the closed set of their changes.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use super::link::{self, LinkRow};
use super::{StoreError, signed};
use crate::role::{AgentRole, HostRole, Scope};

mod read;

/// Sessions that ended which are still listed, per user; the journal knows all.
const SESSIONS_KEPT: u32 = 20;

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
    /// What it is good for.
    pub scope: Scope,
    /// The only agents that it is good for.
    pub agents: Option<BTreeSet<String>>,
    /// The token that it was made with; it ends with it, and makes no other way in.
    pub token: Option<String>,
    /// The passkey that it was made with; it ends with it.
    pub passkey: Option<String>,
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
    /// When it was taken back.
    pub revoked_ms: Option<u64>,
    /// What is shared with whoever comes: agents' ids, and as what.
    pub shares: Vec<(String, AgentRole)>,
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
    /// Adds a user, of a name that nobody has.
    NewUser(UserRow),
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
    /// Forgets a user's sessions that ended, but for the newest: user, now, unused since.
    SessionsForgotten(String, u64, u64),
    /// Adds an invitation.
    Invite(InviteRow),
    /// Uses an invitation up: id, when.
    InviteUsed(String, u64),
    /// Takes an invitation back: id, when.
    InviteRevoked(String, u64),
    /// Takes back what a user invited: who, when.
    InvitesRevoked(String, u64),
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
    /// Ends the links that a user made of others' agents: who.
    LinksOfOthersGone(String),
}

/// Writes one change.
pub(super) fn write(tx: &Transaction<'_>, change: &People) -> Result<(), StoreError> {
    match change {
        People::User(user) => write_user(
            tx,
            user,
            "DO UPDATE SET role = excluded.role, uid = excluded.uid",
        )
        .map(drop),
        People::NewUser(user) => once(write_user(tx, user, "DO NOTHING")?),
        People::Known(user) => write_user(tx, user, "DO NOTHING").map(drop),
        People::UserGone(name) => remove_user(tx, name),
        People::Token(token) => write_token(tx, token),
        People::TokenRevoked(id, at) => {
            revoke(tx, "device", "token", id, *at)?;
            once(revoke(tx, "token", "id", id, *at)?)
        }
        People::Device(device) => write_device(tx, device),
        People::DeviceRevoked(id, at) => {
            revoke(tx, "device", "passkey", id, *at)?;
            once(revoke(tx, "device", "id", id, *at)?)
        }
        People::SessionsForgotten(user, now, unused) => forget_sessions(tx, user, *now, *unused),
        People::Invite(invite) => write_invite(tx, invite),
        People::InviteUsed(id, at) => once(end_invites(tx, "used_ms", "id", id, *at)?),
        People::InviteRevoked(id, at) => once(end_invites(tx, "revoked_ms", "id", id, *at)?),
        People::InvitesRevoked(by, at) => {
            end_invites(tx, "revoked_ms", "made_by", by, *at).map(drop)
        }
        People::Share(share) => write_share(tx, share),
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
        People::LinksOfOthersGone(by) => link::of_others(tx, by),
    }
}

fn remove_user(tx: &Transaction<'_>, name: &str) -> Result<(), StoreError> {
    for table in ["token", "device", "share", "repository"] {
        tx.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [name])?;
    }
    let sql = "DELETE FROM invite WHERE made_by = ?1 AND used_ms IS NULL";
    tx.execute(sql, [name])?;
    tx.execute("DELETE FROM link WHERE made_by = ?1", [name])?;
    tx.execute("DELETE FROM user WHERE name = ?1", [name])?;
    Ok(())
}

/// Ends tokens or devices that are good; how many.
fn revoke(
    tx: &Transaction<'_>,
    table: &str,
    column: &str,
    is: &str,
    at_ms: u64,
) -> Result<usize, StoreError> {
    let sql =
        format!("UPDATE {table} SET revoked_ms = ?2 WHERE {column} = ?1 AND revoked_ms IS NULL");
    Ok(tx.execute(&sql, params![is, signed(at_ms)])?)
}

/// Uses invitations up that are good, or takes them back; how many.
fn end_invites(
    tx: &Transaction<'_>,
    how: &str,
    column: &str,
    is: &str,
    at_ms: u64,
) -> Result<usize, StoreError> {
    let sql = format!(
        "UPDATE invite SET {how} = ?2
         WHERE {column} = ?1 AND used_ms IS NULL AND revoked_ms IS NULL"
    );
    Ok(tx.execute(&sql, params![is, signed(at_ms)])?)
}

fn forget_sessions(
    tx: &Transaction<'_>,
    user: &str,
    now_ms: u64,
    unused_ms: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM device WHERE id IN (SELECT id FROM device
         WHERE user = ?1 AND kind = 'session' AND (revoked_ms IS NOT NULL
         OR expires_ms <= ?2 OR coalesce(used_ms, created_ms) <= ?3)
         ORDER BY created_ms DESC, id LIMIT -1 OFFSET ?4)",
        params![user, signed(now_ms), signed(unused_ms), SESSIONS_KEPT],
    )?;
    Ok(())
}

fn write_share(tx: &Transaction<'_>, share: &ShareRow) -> Result<(), StoreError> {
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

/// What can be done once only was done just now, or this is too late.
fn once(changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Gone)
    }
}

fn write_user(tx: &Transaction<'_>, user: &UserRow, known: &str) -> Result<usize, StoreError> {
    Ok(tx.execute(
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
    )?)
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

/// Of what it is made with none may have ended meanwhile: it would outlive that.
fn write_device(tx: &Transaction<'_>, device: &DeviceRow) -> Result<(), StoreError> {
    let written = tx.execute(
        "INSERT INTO device (id, user, label, kind, hash, credential, created_ms, expires_ms, address,
         scope, agents, token, passkey)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
         WHERE (?12 IS NULL OR EXISTS
                (SELECT 1 FROM token t WHERE t.id = ?12 AND t.revoked_ms IS NULL))
         AND (?13 IS NULL OR EXISTS
                (SELECT 1 FROM device p WHERE p.id = ?13 AND p.revoked_ms IS NULL))
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
            device.address,
            device.scope.as_str(),
            serde_json::to_string(&device.agents)?,
            device.token,
            device.passkey
        ],
    )?;
    once(written)
}

fn write_invite(tx: &Transaction<'_>, invite: &InviteRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO invite (id, hash, user, role, made_by, created_ms, expires_ms, shares)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            invite.id,
            invite.hash,
            invite.user,
            invite.role.as_str(),
            invite.made_by,
            signed(invite.created_ms),
            signed(invite.expires_ms),
            serde_json::to_string(&invite.shares)?
        ],
    )?;
    Ok(())
}
