//! A change of what an agent may reach, while it runs.

use wsm_api::policy::PolicyChange;
use wsm_api::problem::{Code, Problem};
use wsm_template::resolved::{Egress, Layer, Origin};

use super::driver::Driver;
use crate::actor::Who;
use crate::egress;
use crate::engine::row;

impl Driver {
    /// Checks the new list, writes it down, and has egress take it at once.
    pub(super) async fn on_policy(
        &mut self,
        actor: &Who,
        change: PolicyChange,
    ) -> Result<(), Problem> {
        let mut record = self.record.clone();
        let network = &mut record.resolved.network;
        if network.egress != Egress::Allow {
            let message = format!("{} has no allow list", record.name);
            let hint = "network.egress is fixed at creation: \"allow\" in the template has a list";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        if let Some(missing) = change
            .deny
            .iter()
            .find(|rule| !network.allow.contains(rule))
        {
            let message = format!("{missing:?} is not in the list of {}", record.name);
            let hint = format!("`wsm policy show` tells them: {}", network.allow.join(", "));
            return Err(Problem::new(Code::NotFound, message, hint));
        }
        network.allow.retain(|rule| !change.deny.contains(rule));
        for rule in &change.allow {
            if !network.allow.contains(rule) {
                network.allow.push(rule.clone());
            }
        }
        let before = self.record.resolved.network.allow.join(", ");
        let after = network.allow.join(", ");
        let origin = Origin {
            layer: Layer::Request,
            file: format!("wsm policy, by {actor}"),
            line: 0,
        };
        let key = "network.allow".to_owned();
        record.resolved.provenance.insert(key, origin);
        egress::policy(&self.engine.etc_dir, &record)?;
        self.record = record;
        let said = |verb: &str, rules: &[String]| {
            (!rules.is_empty()).then(|| format!("{verb} {}", rules.join(", ")))
        };
        let told = [said("allowed", &change.allow), said("denied", &change.deny)];
        let message = told.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let id = self.record.id.to_string();
        self.commit(row(actor, "policy.changed", &id, message).changed(&before, &after));
        if self.shim.is_none() {
            return Ok(()); // it is told when it is started
        }
        self.engine
            .egress
            .serve(&self.engine.etc_dir, &self.record)
            .await
    }
}
