//! A hostile agent's objects, for fuzzing: what is let in means to git what it means to us.

use git2::{ObjectType, Odb, Oid, Repository};

use super::check;

/// The first byte says what the rest is: a tree, a commit, or a `.gitmodules`.
///
/// # Panics
/// What was checked is not what git reads.
pub fn object(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => tree(data),
        1 => commit(data),
        _ => drop(check::modules(data)),
    }
}

/// A repository in memory with this object alone.
fn stored(kind: ObjectType, data: &[u8]) -> (Repository, Oid) {
    let odb = Odb::new().expect("memory");
    odb.add_new_mempack_backend(1).expect("memory");
    let oid = odb.write(kind, data).expect("memory");
    (Repository::from_odb(odb).expect("memory"), oid)
}

fn tree(data: &[u8]) {
    let Ok(entries) = check::tree(data) else {
        return;
    };
    let mut again = Vec::new();
    for entry in &entries {
        assert!(check::dangerous(entry.name).is_none());
        let text = format!("{:o} ", entry.mode);
        for part in [text.as_bytes(), entry.name, b"\0", entry.oid.as_bytes()] {
            again.extend_from_slice(part);
        }
    }
    assert_eq!(again, data, "there is one way to write it");
    let (repository, oid) = stored(ObjectType::Tree, data);
    let Ok(read) = repository.find_tree(oid) else {
        return;
    };
    let read: Vec<_> = read
        .iter()
        .map(|e| (e.name_bytes().to_vec(), e.id()))
        .collect();
    let ours: Vec<_> = entries.iter().map(|e| (e.name.to_vec(), e.oid)).collect();
    assert_eq!(ours, read);
}

fn commit(data: &[u8]) {
    let Ok(links) = check::commit(data) else {
        return;
    };
    let (repository, oid) = stored(ObjectType::Commit, data);
    let Ok(read) = repository.find_commit(oid) else {
        return;
    };
    let parents: Vec<_> = read.parent_ids().collect();
    assert_eq!((links.tree, links.parents), (read.tree_id(), parents));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// A little of it in every run.
        #[test]
        fn no_object_is_too_odd(
            kind in 0..3_u8,
            text in "(100644|40000|120000|1) [a-z.\\\\~]{0,9}\0[a-z]{20}|tree [0-9a-f]{40}\n(parent [0-9a-f]{40}\n){0,2}author [a<> 0-9+]{0,20}\ncommitter a <b> 1 \\+0000\n\n",
        ) {
            super::object(&[&[kind], text.as_bytes()].concat());
        }
    }
}
