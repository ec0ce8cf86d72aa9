use serde_json::Value;

use super::*;
use crate::sample;

/// The report of a ladder, as it is written.
fn report(ladder: &str) -> String {
    let (calls, stats) = sample::analyzed(sample::packets(ladder));
    let mut writer = Writer::new(Vec::new()).unwrap();
    for call in &calls {
        writer.call(call).unwrap();
    }
    let mut source = Summary {
        name: "-".into(),
        format: "pcap".into(),
        records: 9,
        clock_fast: 1_500_000,
        ..Summary::default()
    };
    source.skip("packets that are not UDP");
    let out = writer.finish(&[source], &stats).unwrap();
    String::from_utf8(out).unwrap()
}

const HOLD: &str = "start call\n\
    A -> B   INVITE offer sdp:sendonly\n\
    B -> A   200 INVITE answer sdp:sendrecv\n\
    A -> B   ACK\n\
    expect   B breaks OA-23 at 2 because 1\n";

#[test]
fn a_report_has_every_field() {
    let mut report: Value = serde_json::from_str(&report(HOLD)).unwrap();
    // Only the first lines: the rest is as the parties wrote it.
    for message in report["calls"][0]["messages"].as_array_mut().unwrap() {
        let raw = message["raw"].as_str().unwrap();
        message["raw"] = raw.lines().next().unwrap().into();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

/// Every field that there is, is in the schema, and the other way round: nothing else is allowed, all is required.
#[test]
fn reports_are_as_the_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../../docs/analyze.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/rules");
    let mut checked = 0;
    for rule in std::fs::read_dir(fixtures).unwrap() {
        let breach = rule.unwrap().path().join("breaks.ladder");
        let Ok(ladder) = std::fs::read_to_string(&breach) else { continue };
        let report: Value = serde_json::from_str(&report(&ladder)).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", breach.display());
        checked += 1;
    }
    assert!(checked > 100, "{checked} ladders");
    let mut other: Value = serde_json::from_str(&report(HOLD)).unwrap();
    other["calls"][0]["findings"][0]["severity"] = "fatal".into();
    assert!(!schema.is_valid(&other));
}

#[test]
fn bytes_that_are_no_text_do_not_break_the_report() {
    let mut packets = sample::packets(HOLD);
    let end = packets[0].payload.len() - 4;
    packets[0].payload[end] = 0xff;
    let (calls, stats) = sample::analyzed(packets);
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.call(&calls[0]).unwrap();
    let out = writer.finish(&[], &stats).unwrap();
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert!(report["calls"][0]["messages"][0]["raw"].as_str().unwrap().contains('\u{fffd}'));
}
