//! What the command says to options that make no sense, before it opens a socket.

use std::process::{Command, Stdio};

#[test]
fn what_makes_no_sense_is_told_with_a_cure() {
    let cases: &[&[&str]] = &[
        &["call"],
        &["call", "bob"],
        &["call", "bob@192.0.2.7"],
        &["call", "tel:+4930123"],
        &["call", "sip:bob@127.0.0.1:70000"],
        &["call", "sips:bob@127.0.0.1"],
        &["call", "sip:bob@127.0.0.1;transport=wss"],
        &["call", "sip:bob@127.0.0.1", "--from", "alice"],
        &["call", "sip:bob@127.0.0.1", "--outbound-proxy", "proxy"],
        &["call", "sip:bob@127.0.0.1", "--user", "alice"],
        &["call", "sip:bob@127.0.0.1", "--codecs", "pcma,speex"],
        &["call", "sip:bob@127.0.0.1", "--session-expires", "20"],
        &["call", "sip:bob@127.0.0.1", "--min-se", "soon"],
        &["call", "sip:bob@127.0.0.1", "--no-timer", "--session-expires", "1800"],
        &["call", "sip:bob@127.0.0.1", "--play", "/nowhere/x.wav"],
        &["call", "sip:bob@127.0.0.1", "--do", "hold; hodl; bye"],
        &["answer", "--listen", "5060"],
        &["answer", "--listen", "tls:127.0.0.1:5061"],
    ];
    let mut told = String::new();
    for arguments in cases {
        let done = Command::new(env!("CARGO_BIN_EXE_midcall"))
            .args(*arguments)
            .env_remove("MIDCALL_PASSWORD")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(done.stdout.is_empty(), "{arguments:?}");
        let said =
            String::from_utf8(done.stderr).unwrap().replace("\n\nFor more information, try '--help'.", "");
        told.push_str(&format!("$ midcall {}\n{said}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(told);
}
