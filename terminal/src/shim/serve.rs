//! What a viewer gets: output as it comes, the whole screen, or a picture that fits it.

use std::time::{Duration, Instant};

use super::Shim;
use super::client::{Client, Role};
use super::terminal::Terminal;
use super::tty::Tty;
use super::viewer::{Next, Viewer};
use crate::letterbox::Letterbox;
use crate::protocol::Frame;
use crate::snapshot::snapshot_with;

/// Bytes of one output frame, about.
const FRAME_BYTES: usize = 16 * 1024;
/// Pictures come no closer than this …
const PICTURE_EVERY: Duration = Duration::from_millis(30);
/// … and take no more than this part of the time.
const PICTURE_SHARE: u32 = 20;

impl Terminal {
    /// Gives a viewer what it lacks, as far as it keeps up.
    pub(super) fn serve(&mut self, client: &mut Client) {
        loop {
            let full = client.tty.as_ref().is_some_and(Tty::full);
            let pending = if full { usize::MAX } else { client.pending() };
            let Role::Viewer(viewer) = &mut client.role else {
                return;
            };
            let (cols, rows) = self.screen.size();
            let seq = self.ring.end();
            let fits = !viewer.fit || viewer.size == (cols, rows);
            if fits && viewer.letterbox.take().is_some() {
                viewer.stale = true;
            }
            let ended = self.ended.is_some();
            if ended {
                viewer.calm();
            }
            // On somebody's own terminal lines scroll away that they may want to see again.
            let flood = self.flood.on() && !ended && (client.tty.is_none() || viewer.is_hurried());
            let next = viewer.next(pending, (self.ring.start(), seq), flood);
            if next != Next::Nothing && std::mem::take(&mut viewer.announce) {
                let seq = viewer.sent;
                client.send(&Frame::Resized { seq, cols, rows });
                continue;
            }
            if next != Next::Nothing && !fits {
                self.picture(client);
                break;
            }
            match (next, &mut client.tty) {
                (Next::Nothing, _) => break,
                (Next::Snapshot, _) if flood => self.flooded(client),
                (Next::Snapshot | Next::Whole, _) => {
                    let lines = match next {
                        Next::Whole => viewer.history(),
                        _ => 0,
                    };
                    if viewer.is_owed() {
                        self.skipped = seq;
                    }
                    let bytes = snapshot_with(&mut self.screen, lines, viewer.notice());
                    self.whole(client, bytes);
                }
                (Next::Bytes, Some(tty)) => {
                    let Some(bytes) = self.ring.parts(viewer.sent) else {
                        viewer.stale = true;
                        continue;
                    };
                    match tty.write(bytes) {
                        Ok(taken) => viewer.drawn(taken),
                        Err(_) => client.gone = true,
                    }
                }
                (Next::Bytes, None) => {
                    let from = viewer.sent;
                    let Some(bytes) = self.ring.read(from, FRAME_BYTES) else {
                        viewer.stale = true;
                        continue;
                    };
                    viewer.sent += bytes.len() as u64;
                    client.send(&Frame::Output { seq: from, bytes });
                }
            }
            if client.gone {
                return;
            }
        }
        self.tell_end(client);
    }

    /// The picture of a flood.
    fn flooded(&mut self, client: &mut Client) {
        let Role::Viewer(viewer) = &mut client.role else {
            return;
        };
        let now = Instant::now();
        let (screen, notice) = (&mut self.screen, viewer.notice());
        let bytes = match notice {
            Some(_) => snapshot_with(screen, 0, notice),
            None => {
                let at = (self.ring.end(), screen.size());
                self.flood.picture(at, || snapshot_with(screen, 0, None))
            }
        };
        let next = self.flood.next_picture(now);
        viewer.pictured(now, next.max(now + now.elapsed() * PICTURE_SHARE));
        self.skipped = self.ring.end();
        self.whole(client, bytes);
    }

    /// The whole screen, drawn by these bytes.
    fn whole(&mut self, client: &mut Client, bytes: Vec<u8>) {
        let Role::Viewer(viewer) = &mut client.role else {
            return;
        };
        let (cols, rows) = self.screen.size();
        let seq = self.ring.end();
        viewer.stale = false;
        viewer.announce = false;
        viewer.sent = seq;
        let Some(tty) = &mut client.tty else {
            return client.send(&Frame::Snapshot {
                seq,
                cols,
                rows,
                bytes,
            });
        };
        viewer.ack(seq);
        client.gone |= tty.draw(&bytes).is_err();
        if viewer.told.replace((cols, rows)) != Some((cols, rows)) {
            client.send(&Frame::Resized { seq, cols, rows });
        }
    }

    /// Draws what fits a viewer of another size, if its turn has come.
    fn picture(&mut self, client: &mut Client) {
        let Role::Viewer(viewer) = &mut client.role else {
            return;
        };
        let now = Instant::now();
        // One at a time: what came meanwhile is in the next.
        if viewer.next_picture.is_some_and(|at| now < at) || viewer.acked < viewer.painted {
            return;
        }
        let kept = viewer
            .letterbox
            .take()
            .filter(|it| it.fits(viewer.size) && !viewer.announce);
        let mut letterbox = kept.unwrap_or_else(|| Box::new(Letterbox::new(viewer.size)));
        let bytes = letterbox.paint(&mut self.screen, viewer.notice());
        viewer.next_picture = Some(now + PICTURE_EVERY.max(now.elapsed() * PICTURE_SHARE));
        viewer.letterbox = Some(letterbox);
        viewer.stale = false;
        viewer.sent = self.ring.end();
        viewer.painted = viewer.sent;
        let seq = viewer.sent;
        match &mut client.tty {
            Some(tty) => {
                viewer.ack(seq);
                client.gone |= tty.paint(bytes).is_err();
                let (cols, rows) = self.screen.size();
                if viewer.told.replace((cols, rows)) != Some((cols, rows)) {
                    client.send(&Frame::Resized { seq, cols, rows });
                }
            }
            None => client.send(&Frame::Picture { seq, bytes }),
        }
    }

    /// The last frame, once everything was seen.
    fn tell_end(&self, client: &mut Client) {
        let Role::Viewer(viewer) = &client.role else {
            return;
        };
        let drawn = client.tty.as_ref().is_none_or(|tty| !tty.full());
        let owed = viewer.is_owed() && !viewer.fit;
        let complete = viewer.sent == self.ring.end() && !viewer.stale && !owed && drawn;
        if let Some(exit) = self.ended.filter(|_| complete) {
            client.send(&Frame::Exited(exit));
            client.closing = true;
        }
    }
}

impl Shim {
    /// A viewer's terminal takes more.
    pub(super) fn draw(&mut self, id: u64) {
        if let Some(client) = self.clients.get_mut(&id)
            && let Some(tty) = &mut client.tty
            && tty.flush().is_err()
        {
            client.gone = true;
        }
        self.serve(id);
    }
}

/// Marks a viewer as needing the screen, and to be told the size.
pub(super) fn outdate(viewer: &mut Viewer) {
    viewer.stale = true;
    viewer.announce = true;
}
