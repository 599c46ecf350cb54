//! Runtimes that have a way of their own of saying whom they trust.

use super::{VALUE, World};
use crate::egress::tools::{TO_FETCH, bring_rust};

const JAVA: &str = r#"
import java.net.URI;
import java.net.http.*;

public class A {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create("https://model.below.example/echo"))
            .header("x-api-key", System.getenv("MODEL_KEY")).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.print(answer.body());
    }
}
"#;

/// What the host trusts is trusted still: all of its authorities are in the key store.
const COUNT: &str = "keytool -list -keystore /etc/wsm/authorities.jks 2>/dev/null </dev/null | grep -c trustedCertEntry; \
     grep -c BEGIN.CERTIFICATE /etc/wsm/authorities.pem";

#[test]
fn java_trusts_it_as_the_others_do() {
    let world = World::new();
    world.keyed();
    world.set(&["model-key"]).ok();
    world.new_agent("keyed", "keyed");
    let script = format!("cat > ~/A.java <<'END'\n{JAVA}END\njava -Xmx256m ~/A.java");
    let said = world.wsm.inside("keyed", &script).ok();
    assert_eq!(said.stdout, "echoed\n", "{said}");
    let asked = world.requests();
    let asked = asked.iter().find(|request| request["path"] == "/echo");
    assert_eq!(asked.expect("a request")["headers"]["x-api-key"], VALUE);
    let counts = world.wsm.inside("keyed", COUNT).ok();
    let counts: Vec<u32> = counts
        .stdout
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert!(counts[0] > 1 && counts[0] == counts[1], "{counts:?}");
}

#[test]
fn cargo_trusts_it_as_the_others_do() {
    let world = World::new();
    world.keyed();
    world.set(&["model-key"]).ok();
    world.new_agent("keyed", "keyed");
    bring_rust(&world.wsm, "keyed", TO_FETCH);
    let script = "mkdir -p ~/x/src ~/.cargo && cd ~/x && touch src/lib.rs && \
         printf '[registries.own]\nindex = \"sparse+https://model.below.example/index/\"\n' > ~/.cargo/config.toml && \
         printf '[package]\nname = \"x\"\n[dependencies]\ny = { version = \"1\", registry = \"own\" }\n' > Cargo.toml && \
         PATH=~/rust/bin:$PATH cargo fetch 2>&1";
    let said = world.wsm.inside("keyed", script);
    assert!(
        !said.stdout.to_lowercase().contains("certificate"),
        "{said}"
    );
    let asked = world.requests();
    let asked = |path: &str| asked.iter().any(|request| request["path"] == path);
    assert!(asked("/index/config.json"), "{said}");
}
