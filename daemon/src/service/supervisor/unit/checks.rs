//! What a running service is asked and told: readiness, health, its log.

#[cfg(test)]
mod tests;

use std::time::Instant;

use wsm_api::service::ServiceState;
use wsm_template::resolved::{Check, Probe, Restart};

use super::super::super::policy::{PROBE_SLACK, READY_CHECK_TIMEOUT, READY_INTERVAL_MAX};
use super::super::{Output, Which};
use super::Unit;

impl Unit {
    pub(in super::super) fn started(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(live) = &mut self.live else { return };
        if live.confirmed || live.which == Which::Init {
            return;
        }
        live.confirmed = true;
        match self.spec.ready.as_ref().map(|probe| &probe.check) {
            None => self.ready("runs", now, out),
            Some(Check::Log { .. }) if live.matched => {
                self.ready("printed what it was waited for", now, out);
            }
            Some(Check::Log { .. }) => {}
            Some(_) => live.probe_at = Some(now),
        }
    }

    /// It is ready, unless it is on its way out.
    pub(in super::super) fn ready(&mut self, reason: &str, now: Instant, out: &mut Vec<Output>) {
        let Some(live) = &mut self.live else { return };
        if live.ending.is_some() {
            return;
        }
        live.confirmed = true;
        live.deadline = None;
        live.probing = None;
        live.failures = 0;
        live.ready_since = Some(now);
        live.probe_at = match &self.spec.health {
            Some(health) if !matches!(health.probe.check, Check::Log { .. }) => {
                Some(now + health.interval)
            }
            _ => None,
        };
        if self.wanted {
            self.set(ServiceState::Ready, reason, out);
        }
    }

    pub(in super::super) fn logged(&mut self, text: &str, now: Instant, out: &mut Vec<Output>) {
        let wanted = match self.spec.ready.as_ref().map(|probe| &probe.check) {
            Some(Check::Log { contains }) => Some(contains.as_str()),
            _ => None,
        };
        let found = self.text.push(text, wanted);
        let Some(live) = &mut self.live else { return };
        if found && live.which == Which::Main && live.ready_since.is_none() {
            live.matched = true;
            if live.confirmed {
                self.ready("printed what it was waited for", now, out);
            }
        }
    }

    pub(in super::super) fn probed(
        &mut self,
        id: u64,
        ok: bool,
        detail: &str,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(live) = &mut self.live else { return };
        if live.ending.is_some() || live.probing.is_none_or(|(due, _)| due != id) {
            return;
        }
        live.probing = None;
        if live.ready_since.is_some() {
            self.checked(ok, detail, now, out);
        } else if ok {
            self.ready(detail, now, out);
        } else {
            detail.clone_into(&mut live.seen);
            live.probe_at = Some(now + live.pause);
            live.pause = (live.pause * 2).min(READY_INTERVAL_MAX);
        }
    }

    /// A health check has ended.
    fn checked(&mut self, ok: bool, detail: &str, now: Instant, out: &mut Vec<Output>) {
        let (Some(live), Some(health)) = (&mut self.live, &self.spec.health) else {
            return;
        };
        live.probe_at = Some(now + health.interval);
        live.failures = if ok {
            0
        } else {
            live.failures.saturating_add(1)
        };
        let failures = live.failures;
        if ok && self.state == ServiceState::Unhealthy {
            self.set(ServiceState::Ready, detail, out);
        } else if failures >= health.failures.max(1) && self.state == ServiceState::Ready {
            let times = if failures == 1 { "" } else { " in a row" };
            let reason = format!("failed its health check {failures} times{times}: {detail}")
                .replace(" 1 times", " once");
            self.set(ServiceState::Unhealthy, reason.clone(), out);
            if self.spec.restart != Restart::Never {
                self.end(Some(reason), now, out);
            }
        }
    }

    /// Why a process that missed its deadline must go.
    pub(super) fn overdue(&self) -> String {
        let Some(live) = &self.live else {
            return String::new();
        };
        if live.which == Which::Init {
            let limit = wsm_template::duration_text(self.spec.init_timeout);
            let quote = self.text.quote();
            return format!("did not end within its init_timeout of {limit}{quote}");
        }
        let timeout = self
            .spec
            .ready
            .as_ref()
            .map_or(0.0, |probe| probe.timeout.as_secs_f32());
        let quote = match (live.seen.as_str(), self.text.quote()) {
            ("", quote) => quote,
            (seen, quote) if quote.is_empty() => format!(": {seen}"),
            (seen, quote) => format!(": {seen}; last line{quote}"),
        };
        format!("was not ready within {timeout} s{quote}")
    }

    /// Has the check tried that is due.
    pub(super) fn probe(&mut self, id: u64, now: Instant, out: &mut Vec<Output>) {
        let Some(live) = &mut self.live else { return };
        live.probe_at = None;
        let health = self.spec.health.as_ref().map(|health| &health.probe);
        let probe = match live.ready_since {
            Some(_) => health,
            None => self.spec.ready.as_ref(),
        };
        let Some(Probe { check, timeout }) = probe else {
            return;
        };
        let timeout = match live.deadline {
            Some(deadline) => (deadline - now).min(READY_CHECK_TIMEOUT),
            None => *timeout,
        };
        out.push(Output::Probe {
            service: self.name.clone(),
            id,
            check: check.clone(),
            timeout,
        });
        live.probing = Some((id, now + timeout + PROBE_SLACK));
    }
}
