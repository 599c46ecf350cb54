//! Writing limits, and reading them back: what is reported is what the kernel says afterwards.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::spec::{LayerReport, LayerStatus, Limits};

use super::files::{read_file, write_file};
use super::mounts::Version;

/// Period that CPU limits are counted in: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// v1 shows "no limit" as the largest multiple of a page; nothing real is near it.
const V1_UNLIMITED: u64 = 1 << 60;
/// Largest page of any architecture.
const PAGE_BYTES_MAX: u64 = 64 * 1024;

/// A controller that wsm limits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    pub(super) const ALL: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Cpu];

    /// The kernel's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
        }
    }

    /// The layer's name in reports.
    fn layer(self) -> &'static str {
        match self {
            Controller::Memory => "memory limit",
            Controller::Pids => "process limit",
            Controller::Cpu => "cpu limit",
        }
    }

    /// How much less than asked the kernel may make of a value: memory goes by pages.
    fn rounding(self) -> u64 {
        match self {
            Controller::Memory => PAGE_BYTES_MAX,
            Controller::Pids | Controller::Cpu => 0,
        }
    }

    pub(super) fn wanted(self, limits: &Limits) -> Option<u64> {
        match self {
            Controller::Memory => limits.memory_bytes,
            Controller::Pids => limits.pids.map(u64::from),
            Controller::Cpu => limits.cpu_milli.map(u64::from),
        }
    }

    fn show(self, value: u64) -> String {
        match self {
            Controller::Memory => format!("{} MiB, swap included", value >> 20),
            Controller::Pids => format!("{value} tasks"),
            Controller::Cpu => format!("{}.{:03} cores", value / 1000, value % 1000),
        }
    }
}

/// A group where a controller limits.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) dir: OwnedFd,
}

/// Sets what is asked for and reports what became of it; nothing asked, nothing reported.
pub(super) fn set(
    controller: Controller,
    place: Option<Place>,
    limits: &Limits,
    whose: &str,
) -> Vec<LayerReport> {
    let Some(wanted) = controller.wanted(limits) else {
        return Vec::new();
    };
    let layer = format!("{}{whose}", controller.layer());
    let missing = |why: String| {
        let detail = format!("{} asked for; {why}", controller.show(wanted));
        vec![LayerReport {
            layer: layer.clone(),
            status: LayerStatus::Absent,
            detail,
        }]
    };
    let Some(place) = place else {
        return missing(format!(
            "this host has no {} controller for wsm",
            controller.name()
        ));
    };
    if let Err(error) = write(controller, &place, wanted) {
        return missing(format!("writing it failed: {error}"));
    }
    let mut reports = match read(controller, &place) {
        Ok(Some(value)) if value <= wanted && wanted - value <= controller.rounding() => {
            vec![enforced(controller, layer, value)]
        }
        Ok(value) => return missing(format!("the kernel says {value:?}")),
        Err(error) => return missing(format!("reading it back failed: {error}")),
    };
    if controller == Controller::Memory {
        reports.extend(memory_details(&place, whose));
    }
    reports
}

/// The limit that stands now.
pub(super) fn read_back(controller: Controller, place: Option<Place>) -> Vec<LayerReport> {
    let layer = controller.layer().to_owned();
    let absent = |detail: String| {
        vec![LayerReport {
            layer: layer.clone(),
            status: LayerStatus::Absent,
            detail,
        }]
    };
    let Some(place) = place else {
        return absent(format!(
            "this host has no {} controller for wsm",
            controller.name()
        ));
    };
    match read(controller, &place) {
        Ok(Some(value)) => {
            let mut reports = vec![enforced(controller, layer, value)];
            if controller == Controller::Memory {
                reports.extend(memory_details(&place, ""));
            }
            reports
        }
        Ok(None) => absent("no limit is set".into()),
        Err(error) => absent(format!("reading it failed: {error}")),
    }
}

/// Disk space needs project quotas, which nothing sets up yet.
pub(super) fn disk() -> LayerReport {
    LayerReport {
        layer: "disk limit".into(),
        status: LayerStatus::Absent,
        detail: "needs project quotas, which this version does not set up".into(),
    }
}

fn enforced(controller: Controller, layer: String, value: u64) -> LayerReport {
    LayerReport {
        layer,
        status: LayerStatus::Enforced,
        detail: controller.show(value),
    }
}

fn write(controller: Controller, place: &Place, value: u64) -> io::Result<()> {
    let dir = place.dir.as_fd();
    match (controller, place.version) {
        (Controller::Pids, _) => write_file(dir, "pids.max", &value.to_string()),
        (Controller::Cpu, _) => write_cpu(place, Some(value)),
        (Controller::Memory, Version::V2) => {
            write_file(dir, "memory.max", &value.to_string())?;
            // Both may be missing: without swap, and on kernels before 4.19. `read` and
            // `memory_details` look again.
            drop(write_file(dir, "memory.swap.max", "0"));
            drop(write_file(dir, "memory.oom.group", "1"));
            Ok(())
        }
        (Controller::Memory, Version::V1) => {
            // memsw may never be below the limit: lowering needs the order limit, memsw; raising
            // the other one.
            let text = value.to_string();
            let first = write_file(dir, "memory.limit_in_bytes", &text);
            drop(write_file(dir, "memory.memsw.limit_in_bytes", &text));
            first.or_else(|_| write_file(dir, "memory.limit_in_bytes", &text))
        }
    }
}

/// Sets the CPU limit in thousandths of a core, or lifts it.
pub(super) fn write_cpu(place: &Place, milli: Option<u64>) -> io::Result<()> {
    let dir = place.dir.as_fd();
    let quota = milli.map(|milli| (milli * CPU_PERIOD_US / 1000).to_string());
    match place.version {
        Version::V2 => {
            let quota = quota.as_deref().unwrap_or("max");
            write_file(dir, "cpu.max", &format!("{quota} {CPU_PERIOD_US}"))
        }
        Version::V1 => {
            write_file(dir, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
            write_file(dir, "cpu.cfs_quota_us", quota.as_deref().unwrap_or("-1"))
        }
    }
}

/// The limit in the spec's unit; `None` where the kernel says there is none.
pub(super) fn read(controller: Controller, place: &Place) -> io::Result<Option<u64>> {
    let dir = place.dir.as_fd();
    let number = |text: &str| text.parse::<u64>().ok();
    Ok(match (controller, place.version) {
        (Controller::Pids, _) => number(&read_file(dir, "pids.max")?),
        (Controller::Cpu, Version::V2) => {
            let text = read_file(dir, "cpu.max")?;
            let (quota, period) = text.split_once(' ').unwrap_or((&text, "100000"));
            number(quota)
                .zip(number(period))
                .map(|(quota, period)| quota * 1000 / period.max(1))
        }
        (Controller::Cpu, Version::V1) => {
            let quota = number(&read_file(dir, "cpu.cfs_quota_us")?);
            let period = number(&read_file(dir, "cpu.cfs_period_us")?).unwrap_or(CPU_PERIOD_US);
            quota.map(|quota| quota * 1000 / period.max(1))
        }
        (Controller::Memory, Version::V2) => number(&read_file(dir, "memory.max")?),
        (Controller::Memory, Version::V1) => {
            number(&read_file(dir, "memory.limit_in_bytes")?).filter(|value| *value < V1_UNLIMITED)
        }
    })
}

/// What else there is to a memory limit: swap, and whether the whole group dies together.
fn memory_details(place: &Place, whose: &str) -> Vec<LayerReport> {
    let dir = place.dir.as_fd();
    let (swap, group) = match place.version {
        Version::V2 => (
            read_file(dir, "memory.swap.max").is_ok_and(|text| text == "0"),
            read_file(dir, "memory.oom.group").is_ok_and(|text| text == "1"),
        ),
        Version::V1 => (v1_swap_is_limited(dir), false),
    };
    let mut reports = Vec::new();
    if !swap && host_has_swap() {
        reports.push(LayerReport {
            layer: format!("swap limit{whose}"),
            status: LayerStatus::Absent,
            detail: "the kernel does not account swap (boot with swapaccount=1)".into(),
        });
    }
    reports.push(LayerReport {
        layer: format!("group out-of-memory kill{whose}"),
        status: if group {
            LayerStatus::Enforced
        } else {
            LayerStatus::Reduced
        },
        detail: if group {
            "all processes of the group end together".into()
        } else {
            "the kernel ends single processes, not the group (memory controller is v1)".into()
        },
    });
    reports
}

fn v1_swap_is_limited(dir: BorrowedFd<'_>) -> bool {
    read_file(dir, "memory.memsw.limit_in_bytes")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|value| value < V1_UNLIMITED)
}

/// Swap devices follow the heading.
fn host_has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A v2 group as plain files: hosts of this setup are not at hand, the formats are fixed.
    fn unified(files: &[&str]) -> (tempfile::TempDir, impl Fn() -> Option<Place>) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(dir.path().join(file), "").unwrap();
        }
        let path = dir.path().to_owned();
        let place = move || {
            let dir = fs::File::open(&path).unwrap().into();
            Some(Place {
                version: Version::V2,
                dir,
            })
        };
        (dir, place)
    }

    const ASKED: Limits = Limits {
        cpu_milli: Some(1500),
        memory_bytes: Some(1 << 30),
        pids: Some(100),
        disk_bytes: None,
    };

    #[test]
    fn unified_formats() {
        let (dir, place) = unified(&[
            "memory.max",
            "memory.swap.max",
            "memory.oom.group",
            "pids.max",
            "cpu.max",
        ]);
        for controller in Controller::ALL {
            let reports = set(controller, place(), &ASKED, "");
            assert!(
                reports
                    .iter()
                    .all(|report| report.status == LayerStatus::Enforced)
            );
            assert_eq!(reports, read_back(controller, place()));
        }
        let text = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(text("cpu.max"), "150000 100000");
        assert_eq!(text("memory.max"), "1073741824");
        assert_eq!(
            (text("memory.swap.max"), text("memory.oom.group")),
            ("0".into(), "1".into())
        );
        fs::write(dir.path().join("cpu.max"), "max 100000\n").unwrap();
        assert_eq!(
            read_back(Controller::Cpu, place())[0].detail,
            "no limit is set"
        );
    }

    #[test]
    fn what_is_not_there_is_absent_and_says_why() {
        let (_dir, place) = unified(&[]);
        let report = &set(Controller::Pids, place(), &ASKED, " of service db")[0];
        assert_eq!(report.layer, "process limit of service db");
        assert_eq!(report.status, LayerStatus::Absent);
        assert!(
            report
                .detail
                .starts_with("100 tasks asked for; writing it failed"),
            "{report:?}"
        );
        let report = &set(Controller::Cpu, None, &ASKED, "")[0];
        assert_eq!(
            report.detail,
            "1.500 cores asked for; this host has no cpu controller for wsm"
        );
        assert!(set(Controller::Cpu, None, &Limits::default(), "").is_empty());
    }
}
