//! Several notices of one person, told in one message.

use rusqlite::params;

use super::queue::{NO_CHANNEL, Notice, counted, deliver, held_back, prune, told, told_to};
use crate::notify::message::Message;
use crate::store::{Store, StoreError, signed};

impl Store {
    /// Writes down that they are told, with a delivery of `summary` for each channel. Webhooks are
    /// read by programs, and get each for itself. Nothing if a newer one replaced any of them: what
    /// is left is looked at again.
    ///
    /// # Errors
    /// The database said no.
    pub fn settle_together(
        &self,
        all: &[(&Notice, &Message)],
        summary: &Message,
        (now_ms, expires_ms): (u64, u64),
    ) -> Result<(), StoreError> {
        let Some((first, _)) = all.first() else {
            return Ok(());
        };
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        for (notice, _) in all {
            let changed = tx.execute(
                "UPDATE notice SET due_ms = NULL WHERE user = ?1 AND topic = ?2 AND seq = ?3
                 AND due_ms IS NOT NULL",
                params![notice.user, notice.topic, signed(notice.seq)],
            )?;
            if changed == 0 {
                return Ok(());
            }
            told(&tx, notice, now_ms)?;
        }
        let summary = counted(&tx, &first.user, summary)?;
        let channels = told_to(&tx, first, now_ms)?;
        if channels.is_empty() {
            held_back(&tx, first, &summary, NO_CHANNEL, now_ms)?;
        }
        for channel in channels {
            if channel.kind != "webhook" {
                deliver(&tx, &channel, &summary.tag, &summary, now_ms, expires_ms)?;
                continue;
            }
            for (notice, message) in all {
                deliver(&tx, &channel, &notice.topic, message, now_ms, expires_ms)?;
            }
        }
        prune(&tx, &first.user)?;
        tx.commit()?;
        Ok(())
    }
}
