//! Says back what it hears: stands in for `wsm git-helper` in tests of the broker.

use std::io::{Read, Write};

fn main() {
    let mut bytes = [0; 4096];
    loop {
        match std::io::stdin().read(&mut bytes).expect("a peer") {
            0 => return,
            length => {
                let mut out = std::io::stdout();
                out.write_all(&bytes[..length])
                    .and_then(|()| out.flush())
                    .expect("a peer");
            }
        }
    }
}
