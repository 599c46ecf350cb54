//! The domain against the kernel. A domain holds for one thread, so each test enters it in its own.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::sys::signal::kill;
use nix::unistd::{Pid, getppid};

use std::fs::File;

use super::*;

fn in_domain<T: Send>(rules: &Rules, then: impl FnOnce(LandlockStatus) -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| then(enforce(rules, true).unwrap()))
            .join()
            .unwrap()
    })
}

fn denied<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn reads_writes_and_lists_where_the_rules_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["read", "write", "other"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("file"), name).unwrap();
    }
    fs::write(path("single"), "single").unwrap();
    let rules = Rules {
        read: vec![path("read"), path("single")],
        write: vec![path("write")],
        list: vec![path("other")],
        ..Rules::default()
    };
    // Positive control: without the domain all of this works.
    fs::write(path("read/new"), "").unwrap();
    fs::remove_file(path("read/new")).unwrap();
    fs::read(path("other/file")).unwrap();
    let status = in_domain(&rules, |status| {
        assert_eq!(fs::read(path("read/file")).unwrap(), b"read");
        assert_eq!(fs::read(path("single")).unwrap(), b"single");
        fs::write(path("write/new"), "x").unwrap();
        fs::rename(path("write/new"), path("write/renamed")).unwrap();
        fs::read_dir(path("other")).unwrap();
        assert!(denied(fs::write(path("read/new"), "")));
        assert!(denied(fs::write(path("single"), "")));
        assert!(denied(
            fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path("read/file"))
        ));
        assert!(denied(fs::read(path("other/file"))));
        assert!(denied(fs::read_dir(dir.path())));
        assert!(denied(fs::read("/etc/passwd")));
        status
    });
    assert!(status.fully, "{}", status.detail);
    assert!(!path("read/new").exists());
    assert_eq!(fs::read(path("read/file")).unwrap(), b"read");
}

#[test]
fn signals_and_abstract_sockets_end_at_the_domain() {
    let name = format!("wsm-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    kill(getppid(), None).unwrap();
    in_domain(&Rules::default(), |_| {
        assert!(denied(UnixStream::connect_addr(&address)));
        assert_eq!(kill(getppid(), None), Err(nix::Error::EPERM));
        assert_eq!(kill(Pid::from_raw(1), None), Err(nix::Error::EPERM));
    });
    drop(listener);
}

#[test]
fn a_missing_path_is_an_error_unless_optional() {
    let missing = PathBuf::from("/nonexistent/path");
    let mut rules = Rules {
        read: vec![missing.clone()],
        ..Rules::default()
    };
    let error = std::thread::scope(|s| s.spawn(|| enforce(&rules, true)).join().unwrap());
    assert!(matches!(error, Err(LandlockError::Open { path, .. }) if path == missing));
    rules.optional.push(missing);
    in_domain(&rules, |status| assert!(status.abi >= ABI_REQUIRED));
}

#[test]
fn the_helper_is_held_by_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let (read, write) = (dir.path().join("read"), dir.path().join("write"));
    for path in [&read, &write] {
        fs::create_dir(path).unwrap();
    }
    let (read_fd, write_fd) = (File::open(&read).unwrap(), File::open(&write).unwrap());
    std::thread::scope(|scope| {
        let inside = || {
            let status = restrict_helper(&[read_fd.as_fd()], &[write_fd.as_fd()]).unwrap();
            fs::write(write.join("object"), "x").unwrap();
            fs::read_dir(&read).unwrap();
            assert!(denied(fs::write(read.join("object"), "x")));
            assert!(denied(fs::read_dir("/")));
            status
        };
        assert!(scope.spawn(inside).join().unwrap().fully);
    });
}

#[test]
fn says_what_an_abi_lacks() {
    assert_eq!(describe(0), "not available on this kernel");
    assert_eq!(
        describe(7),
        "ABI 7: files, renames across directories, truncation, device ioctls, abstract sockets, \
         signals; not on this kernel: socket files (ABI 9; sockets below what filesystem.read and \
         write show can be connected to)"
    );
    assert!(describe(2).contains("truncation (ABI 3; read-only mounts hold)"));
    assert!(!describe(9).contains("not on this kernel"));
}
