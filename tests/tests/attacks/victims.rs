//! What is attacked on the host, and how it stands.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use wsm_tests::{cli, host};

use crate::facts::{self, Facts};
use crate::scene::{PLACES, left};
use crate::trust::TRUSTED;
use crate::world::World;

/// The fact about a loose object.
pub(crate) const OBJECT: &str = "an object";

impl World {
    pub(crate) fn look_at_victims(&self) -> Facts {
        let mut seen = Facts::new();
        let git = self.repository.join(".git");
        let own = [
            "hidden",
            "hidden/w",
            "hidden/w/.git",
            "hidden/secret",
            "hidden/writable",
            "hidden/dir",
            "shown",
            "shown/file",
            "shown/program",
            "shown/dir",
        ];
        let mut paths: Vec<PathBuf> = own.iter().map(|name| self.ground.0.join(name)).collect();
        paths.extend(PLACES.iter().map(|place| Path::new(place).join(left())));
        seen.insert(OBJECT.into(), self.first_object());
        let (pointer, etc) = (
            Path::new(&self.agent.workspace).join(".git"),
            self.wsm.dir().join("etc"),
        );
        paths.extend([
            pointer,
            etc.join("config.toml"),
            etc.join("templates/attacked.toml"),
        ]);
        let parts = TRUSTED.iter().chain(&["hooks", "info"]);
        paths.extend(parts.map(|part| git.join(part)));
        paths.push(Path::new(&self.neighbour.workspace).join("README.md"));
        paths.extend(["/etc/hosts", "/usr/bin/env"].map(PathBuf::from));
        for path in paths {
            seen.insert(path.display().to_string(), facts::file(&path));
        }
        let prey = self.prey.borrow().id();
        let alive = host::process(i32::try_from(prey).unwrap_or(0)).is_some();
        seen.insert("a process of the host lives".into(), alive.to_string());
        for (name, pid) in [
            ("pid 1", Some(self.init)),
            ("a planted process", self.planted.get()),
        ] {
            let Some(pid) = pid else { continue };
            let now = facts::process(pid);
            let said =
                ["Uid", "TracerPid", "Seccomp", "root", "nice"].map(|fact| now.get(fact).cloned());
            let alive = host::process(pid).is_some();
            seen.insert(name.into(), format!("{alive} {said:?}"));
        }
        seen
    }

    /// What the first loose object of the repository says.
    fn first_object(&self) -> String {
        let mut sum = DefaultHasher::new();
        fs::read(self.repository.join(".git").join(&self.object))
            .map_err(|why| why.to_string())
            .hash(&mut sum);
        sum.finish().to_string()
    }
}

/// The first loose object of a git directory, as a path below it.
pub(crate) fn object_of(git: &Path) -> PathBuf {
    let mut find = Command::new("sh");
    find.args(["-c", "find objects -type f -path '*/??/*' | sort | head -1"]);
    find.current_dir(git);
    PathBuf::from(cli::run(find, b"").text())
}
