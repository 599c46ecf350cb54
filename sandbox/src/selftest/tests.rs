//! The probes against a bare process (they must notice) and against the layers one at a time.

use super::*;
use crate::{landlock, seccomp, sys};

fn unheld(reports: &[ProbeReport], layer: &str) -> Vec<String> {
    let chosen = reports
        .iter()
        .filter(|report| report.layer == layer && !report.held);
    chosen
        .map(|report| format!("{}: {}", report.tried, report.saw))
        .collect()
}

fn in_thread<T: Send>(then: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(then).join().unwrap())
}

/// Positive control: without the filter nearly every call gets further than the filter lets it.
/// Those that hold anyway are refused by this kernel itself (no x32, no call 1000, no vsock).
#[test]
fn a_process_without_a_filter_is_noticed() {
    let reports = calls::run();
    let held: Vec<&str> = reports
        .iter()
        .filter(|report| report.held)
        .map(|report| report.tried.as_str())
        .collect();
    let kernel_refuses = [
        "getpid of the x32 ABI",
        "system call 1000",
        "bpf",
        "socket(VSOCK)",
        "socket(ALG)",
    ];
    for tried in &held {
        assert!(
            kernel_refuses.contains(tried),
            "{tried} held without a filter"
        );
    }
}

#[test]
fn the_filter_holds_every_call() {
    for debug in [false, true] {
        let reports = in_thread(|| {
            let program = seccomp::program(&seccomp::Options { debug });
            sys::load_seccomp(&program).unwrap();
            calls::run()
        });
        assert_eq!(unheld(&reports, "seccomp"), Vec::<String>::new());
        assert!(reports.len() > 25);
    }
}

#[test]
fn a_process_without_mounts_is_noticed() {
    let context = Context {
        canaries: vec!["/proc/self/exe".into()],
        ..Context::default()
    };
    let reports = files::run(&context);
    let noticed = unheld(&reports, "root file system").join("\n");
    for tried in [
        "create a file in /usr",
        "create a file in /etc",
        "find /sys/kernel",
        "find /proc/self/exe",
    ] {
        assert!(noticed.contains(tried), "{tried} not in\n{noticed}");
    }
    assert!(
        unheld(&reports, "proc")
            .iter()
            .any(|line| line.contains("core_pattern"))
    );
    assert!(
        unheld(&reports, "seccomp")
            .iter()
            .any(|line| line.contains("chmod 4755"))
    );
    for directory in ["/", "/usr", "/etc", "/dev", "/tmp"] {
        let names = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mine = format!(".wsm-selftest-{}", std::process::id());
        assert!(
            !names
                .into_iter()
                .any(|name| name.to_string_lossy().starts_with(&mine))
        );
    }
}

#[test]
fn the_filter_holds_modes_and_devices() {
    let reports = in_thread(|| {
        sys::load_seccomp(&seccomp::program(&seccomp::Options::default())).unwrap();
        files::run(&Context::default())
    });
    assert_eq!(unheld(&reports, "seccomp"), Vec::<String>::new());
}

#[test]
fn landlock_is_told_from_its_absence() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = format!("wsm-selftest-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let context = Context {
        landlock: true,
        unruled: Some(file.path().into()),
        abstract_name: Some(name),
        ..Context::default()
    };
    assert_eq!(unheld(&files::run(&context), "landlock").len(), 2);
    let reports = in_thread(|| {
        landlock::enforce(&landlock::Rules::default(), true).unwrap();
        files::run(&context)
    });
    assert_eq!(unheld(&reports, "landlock"), Vec::<String>::new());
    drop(listener);
}

#[test]
fn a_process_with_rights_is_noticed() {
    let kept = std::fs::File::open("/").unwrap();
    let context = Context {
        uid: 1000,
        ..Context::default()
    };
    let mut reports = Vec::new();
    // Without `init`: nobody attaches to the host's PID 1 for a test.
    reports.extend(process::bare(&context));
    drop(kept);
    for layer in [
        "capabilities",
        "no_new_privs",
        "descriptors",
        "environment",
        "pid namespace",
        "user namespace",
    ] {
        assert!(
            !unheld(&reports, layer).is_empty(),
            "{layer} was not noticed"
        );
    }
    assert!(unheld(&reports, "descriptors")[0].contains("(/)"));
}
