//! What an agent uses, as `show` tells it.

use wsm_api::usage::{Usage, Used};

use crate::render;

/// A line for all of it and for each service; nothing before the first look.
pub(super) fn table(usage: &Usage) -> String {
    let Some(last) = usage.samples.last() else {
        return String::new();
    };
    let limits = (usage.cpu_limit_milli, usage.memory_limit_bytes);
    let mut rows = vec![row("all", &last.whole, limits)];
    for (name, used) in &last.services {
        rows.push(row(name, used, (None, None)));
    }
    let killed: u64 = usage
        .samples
        .iter()
        .map(|sample| u64::from(sample.whole.oom_kills))
        .sum();
    let head = ["USES", "CPU", "MEMORY", "WAITS (CPU, MEMORY, DISK)"];
    let mut text = format!("\n{}", render::table(&head, &rows));
    if let Some(disk) = &usage.disk {
        let least = if disk.exact { "" } else { "at least " };
        let [workspace, home, state] =
            [disk.workspace_bytes, disk.home_bytes, disk.state_bytes].map(size);
        text.push_str(&format!(
            "disk: {least}{workspace} workspace, {home} home, {state} services\n"
        ));
    }
    if killed > 0 {
        text.push_str(&format!("killed for want of memory: {killed} in a day\n"));
    }
    text
}

fn row(name: &str, used: &Used, (cpu, memory): (Option<u64>, Option<u64>)) -> Vec<String> {
    let of = |now: Option<String>, limit: Option<String>| match (now, limit) {
        (None, _) => "-".to_owned(),
        (Some(now), None) => now,
        (Some(now), Some(limit)) => format!("{now} of {limit}"),
    };
    let waits = used.pressure.map(|waits| {
        let share = |hundredths: u32| format!("{}%", hundredths / 100);
        [waits.cpu, waits.memory, waits.io].map(share).join(" ")
    });
    vec![
        name.to_owned(),
        of(used.cpu_milli.map(|it| cores(it.into())), cpu.map(cores)),
        of(used.memory_bytes.map(size), memory.map(size)),
        of(waits, None),
    ]
}

fn cores(milli: u64) -> String {
    format!("{}.{:02}", milli / 1000, milli % 1000 / 10)
}

fn size(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use wsm_api::usage::{Disk, Pressure, UsageSample};

    use super::*;

    #[test]
    fn the_last_look_is_told_with_its_limits() {
        let used = Used {
            cpu_milli: Some(1234),
            memory_bytes: Some(300 << 20),
            oom_kills: 2,
            pressure: Some(Pressure {
                cpu: 150,
                memory: 0,
                io: 9_999,
            }),
        };
        let mut usage = Usage {
            agent: "a".into(),
            cpu_limit_milli: Some(2000),
            memory_limit_bytes: Some(1 << 30),
            samples: Vec::new(),
            disk: Some(Disk {
                at: String::new(),
                workspace_bytes: 5 << 20,
                home_bytes: 7 << 20,
                state_bytes: 0,
                exact: false,
            }),
            hosts: Vec::new(),
        };
        assert_eq!(table(&usage), "");
        usage.samples.push(UsageSample {
            at: String::new(),
            seconds: 10,
            disk_bytes: Some(12 << 20),
            whole: used,
            services: [("web".to_owned(), Used::default())].into(),
        });
        let text = table(&usage);
        for part in [
            "1.23 of 2.00",
            "300 MiB of 1024 MiB",
            "1% 0% 99%",
            "web",
            "2 in a day",
            "disk: at least 5 MiB workspace, 7 MiB home, 0 MiB services",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
