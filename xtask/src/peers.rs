//! The real programs that the interop scenarios talk to, and how to get them on Debian.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{ask, installed, run};

/// A program some scenarios need.
pub(crate) struct Peer {
    /// What is looked for on the path.
    pub(crate) program: &'static str,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    /// What it proves.
    role: &'static str,
}

/// Every program the scenarios may need.
pub(crate) const PEERS: &[Peer] = &[
    Peer { program: "sipp", packages: &["sip-tester"], role: "scripted caller and callee" },
    Peer { program: "baresip", packages: &["baresip-core"], role: "a phone without UPDATE, 100rel or timer" },
    Peer { program: "linphonec", packages: &["linphone-cli"], role: "a phone with UPDATE and session timer" },
    Peer {
        program: "kamailio",
        packages: &[
            "kamailio",
            "kamailio-tls-modules",
            "kamailio-websocket-modules",
            "kamailio-utils-modules",
        ],
        role: "record-routing proxy, TLS, WebSocket, HEP source",
    },
    Peer { program: "tshark", packages: &["tshark"], role: "second opinion on the captures we write" },
];

/// The peers that are not on this machine.
pub(crate) fn absent() -> Vec<&'static Peer> {
    PEERS.iter().filter(|peer| !installed(peer.program)).collect()
}

/// Names every absent peer in plain sight, and what cannot be shown without it.
pub(crate) fn report_absent() -> Vec<&'static Peer> {
    let absent = absent();
    for peer in &absent {
        println!(
            "ABSENT: {} ({}); its scenarios cannot run. Debian: apt-get install {}",
            peer.program,
            peer.role,
            peer.packages.join(" ")
        );
    }
    absent
}

/// Installs the packages of the absent peers, when this is root on Debian.
pub(crate) fn install() -> Result<(), String> {
    let packages: Vec<&str> = absent().iter().flat_map(|peer| peer.packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() || !installed("apt-get") {
        return Err("this is not Debian: install the peers by hand".to_owned());
    }
    if ask(Command::new("id").arg("-u")).is_none_or(|id| id.trim() != "0") {
        return Err("not root: install the peers by hand".to_owned());
    }
    apt(&["update", "-q"])?;
    let mut words = vec!["install", "-q", "-y", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

fn apt(words: &[&str]) -> Result<(), String> {
    println!("apt-get {}", words.join(" "));
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, Duration::from_secs(300), |_| {}).map_err(|why| format!("apt-get {}: {why}", words[0]))
}
