//! `midcall analyze` as a user runs it: what it prints, how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn midcall(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_midcall"))
        .current_dir(root())
        .arg("analyze")
        .args(arguments)
        .output()
        .expect("midcall runs")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shown(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says to a person, without the name of the directory.
fn told(output: &Output, scratch: &Path) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.replace(&format!("{}/", scratch.display()), "")
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("midcall-analyze-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

const STUCK: &str = "docs/guide/stuck-on-hold.pcapng";

#[test]
fn the_example_of_the_readme_is_what_it_prints() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let begin = format!("$ midcall analyze {STUCK}\n");
    let (_, rest) = readme.split_once(&begin).expect("the example");
    let (example, _) = rest.split_once("```").unwrap();
    let output = midcall(&[STUCK]);
    let mut shown =
        shown(&output).lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().into_iter();
    for line in example.lines() {
        // What is left out stands for any lines.
        if line.trim() != "..." {
            assert!(shown.any(|own| own == line), "not printed, or not there: {line}");
        }
    }
}

#[test]
fn the_code_says_whether_something_was_found() {
    for (arguments, code) in [
        (&[STUCK][..], 1),
        (&[STUCK, "--fail-on", "warning"], 1),
        (&[STUCK, "--fail-on", "never"], 0),
        (&[STUCK, "--fail-on", "warning", "--rule", "UP"], 0),
        (&[STUCK, "--fail-on", "warning", "--party", "caller"], 0),
        (&[STUCK, "--fail-on", "warning", "--party", "bob"], 1),
        (&[STUCK, "--fail-on", "warning", "--method", "update"], 0),
        (&[STUCK, "--fail-on", "warning", "--from", "14"], 0),
        (&[STUCK, "--fail-on", "warning", "--from", "7", "--to", "0"], 1),
        (&[STUCK, "--format", "yaml"], 2),
        (&[], 2),
    ] {
        assert_eq!(midcall(arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_pipe_gets_no_colour_and_a_file_the_same_text() {
    let scratch = scratch("output");
    let path = scratch.join("report.txt");
    let piped = midcall(&[STUCK, "--ladder", "all"]);
    assert!(!piped.stdout.contains(&0x1b));
    let written = midcall(&[STUCK, "--ladder", "all", "--output", path.to_str().unwrap()]);
    assert!(written.stdout.is_empty(), "{written:?}");
    assert_eq!(std::fs::read(&path).unwrap(), piped.stdout);
    std::fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn standard_input_and_several_files_are_read() {
    let file = std::fs::File::open(root().join(STUCK)).unwrap();
    let piped = Command::new(env!("CARGO_BIN_EXE_midcall"))
        .args(["analyze", "-", "--format", "json"])
        .stdin(file)
        .output()
        .unwrap();
    let report = shown(&piped);
    assert!(report.contains("\"name\":\"-\",\"format\":\"pcapng\""), "{report}");
    let both = shown(&midcall(&[STUCK, STUCK, "--ladder", "none"]));
    // The same packets twice are the same messages.
    assert!(both.contains("1 call in 12 messages: 1 with errors"), "{both}");
    assert!(both.contains("12 packets that another source has too"), "{both}");
}

#[test]
fn the_ladder_can_be_left_out() {
    let ladder = |of: &str| shown(&midcall(&[STUCK, "--ladder", of])).contains("-->|");
    assert!(ladder("all") && ladder("bad") && !ladder("none"));
}

#[test]
fn what_cannot_be_read_is_told_with_a_cure() {
    let scratch = scratch("errors");
    let file = |name: &str, content: &[u8]| {
        let path = scratch.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let capture = std::fs::read(root().join(STUCK)).unwrap();
    // A section header and nothing behind it.
    let silent = capture.get(..capture.get(4).map_or(0, |length| usize::from(*length))).unwrap();
    let mut all = String::new();
    for (what, name) in [
        ("no such file", scratch.join("missing.pcap").to_str().unwrap().to_owned()),
        ("an empty file", file("empty.pcap", b"")),
        (
            "a picture",
            file("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0"),
        ),
        ("a capture without packets", file("silent.pcapng", silent)),
        ("a text without SIP", file("notes.txt", b"Dear diary,\nnothing rang today.\n")),
    ] {
        let output = midcall(&[&name]);
        all.push_str(&format!("# {what}\n{}", told(&output, &scratch)));
    }
    let nowhere = midcall(&["hep:udp:127.0.0.1"]);
    all.push_str(&format!("# no port to collect on\n{}", told(&nowhere, &scratch)));
    let keys = file("keys.log", b"# none\n");
    all.push_str(&format!("# no keys\n{}", told(&midcall(&[STUCK, "--keylog", &keys]), &scratch)));
    insta::assert_snapshot!(all);
    std::fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn a_broken_capture_is_told_up_to_the_break() {
    let scratch = scratch("broken");
    let path = scratch.join("cut.pcapng");
    let capture = std::fs::read(root().join(STUCK)).unwrap();
    std::fs::write(&path, &capture[..capture.len() / 2]).unwrap();
    let output = midcall(&[path.to_str().unwrap()]);
    let shown = shown(&output);
    assert!(shown.contains("alice -> bob") && shown.contains("cut off by the end of the file"), "{shown}");
    assert_breaks_off(&output);
    std::fs::remove_dir_all(scratch).unwrap();
}

/// A trace without its end is told of, and judged as far as it goes.
#[track_caller]
fn assert_breaks_off(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(" breaks off behind record ") && told.contains("its end is missing"), "{told}");
    assert_ne!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_packed_capture_that_breaks_off_is_told_like_any_other() {
    let scratch = scratch("packed");
    let path = scratch.join("cut.pcap.gz");
    let packed = root().join("crates/analyzer/tests/peers/linphone-with-media.pcap.gz");
    let packed = std::fs::read(packed).unwrap();
    std::fs::write(&path, &packed[..packed.len() - 40]).unwrap();
    let output = midcall(&[path.to_str().unwrap(), "--fail-on", "never"]);
    assert!(shown(&output).contains("1 stretches that cannot be unpacked"), "{output:?}");
    assert_breaks_off(&output);
    std::fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn a_slip_in_a_rule_is_told_with_the_nearest_codes() {
    for (slip, near) in
        [("UP13", "did you mean UP-13?"), ("F-HLD33", "F-HLD3"), ("NOSUCH-99", "the families are")]
    {
        let output = midcall(&[STUCK, "--rule", slip]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("there is no rule {slip}")) && told.contains(near), "{told}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    for known in ["F-HLD3", "f-hld3", "up-13", "UP", "F"] {
        assert_ne!(midcall(&[STUCK, "--rule", known]).status.code(), Some(2), "{known}");
    }
}

#[test]
fn conditions_that_no_call_meets_are_told() {
    let told = |options: &[&str]| {
        let output = midcall(&[&[STUCK, "--fail-on", "never"], options].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(told(&["--method", "FOO"]).contains("no call of 1 is let through by --method FOO"));
    assert!(told(&["--call-id", "nosuch"]).contains("is let through by --call-id nosuch"));
    assert!(told(&["--party", "nobody", "--method", "INVITE"]).contains("by --party nobody"));
    for fine in [&["--method", "invite"][..], &["--party", "caller"], &["--rule", "UP-13"], &[]] {
        assert_eq!(told(fine), "", "{fine:?}");
    }
}

#[test]
fn a_page_needs_nothing_else_and_a_diagram_shows_the_finding() {
    let page = shown(&midcall(&[STUCK, "--format", "html"]));
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("<h1>Resume was answered with a hold</h1>"), "{page}");
    let diagram = shown(&midcall(&[STUCK, "--format", "mermaid"]));
    assert!(
        diagram.starts_with("sequenceDiagram\n") && diagram.contains("Note over p0,p1: error F-HLD3"),
        "{diagram}"
    );
}

#[test]
fn without_identities_the_same_is_found() {
    let plain = shown(&midcall(&[STUCK, "--format", "json"]));
    let fresh = shown(&midcall(&[STUCK, "--format", "json", "--anonymize"]));
    let codes = |text: &str| -> Vec<String> {
        text.split("\"rule\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next().map(str::to_owned))
            .collect()
    };
    assert_eq!(codes(&plain), codes(&fresh));
    let call_id = plain.split("\"call_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(!fresh.contains(call_id) && !fresh.contains("stuck-on-hold"), "{call_id}");
}

#[test]
fn a_failure_becomes_something_to_play() {
    let ladder = shown(&midcall(&[STUCK, "--export", "ladder"]));
    assert!(ladder.starts_with("# F-HLD3 ") && ladder.contains("\nA -> B   INVITE offer"), "{ladder}");
    let guilty = shown(&midcall(&[STUCK, "--export", "sipp"]));
    assert_eq!(guilty, shown(&midcall(&[STUCK, "--export", "sipp:callee"])));
    assert!(guilty.contains("<recv request=\"INVITE\">"), "{guilty}");
    assert!(shown(&midcall(&[STUCK, "--export", "sipp:caller"])).contains("start_txn=\"t1\""));
    let nobody = midcall(&[STUCK, "--export", "sipp", "--call-id", "nobody"]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    let unknown = midcall(&[STUCK, "--export", "sipp:nobody"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("say ladder, sipp, sipp:caller or sipp:callee")
    );
}
