use super::words::VERBS;
use super::*;

fn verbs(text: &str) -> Vec<Verb> {
    Script::parse(text).unwrap().steps.into_iter().map(|step| step.verb).collect()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_script_of_the_manual_is_understood() {
    let text = "ring 1s; early; answer; refuse 486; wait 2s; hold; resume via update; codec pcma; update; reinvite; \
                offerless; refresh; add-video; drop-video; move 127.0.0.1:40000; dtmf 12#; \
                transfer sip:carol@example.com; cancel; bye";
    assert_eq!(
        verbs(text),
        [
            Verb::Ring(ms(1_000)),
            Verb::Early,
            Verb::Answer,
            Verb::Refuse(Some(486)),
            Verb::Wait(ms(2_000)),
            Verb::Change(Change::Hold, None),
            Verb::Change(Change::Resume, Some(Prefer::Update)),
            Verb::Change(Change::Codecs(vec![Codec::pcma()]), None),
            Verb::Change(Change::Update, None),
            Verb::Change(Change::Reinvite, None),
            Verb::Change(Change::Offerless, None),
            Verb::Change(Change::Refresh, None),
            Verb::Change(Change::AddVideo, None),
            Verb::Change(Change::DropVideo, None),
            Verb::Change(Change::Move("127.0.0.1:40000".parse().unwrap()), None),
            Verb::Dtmf("12#".to_owned()),
            Verb::Transfer("sip:carol@example.com".to_owned()),
            Verb::Cancel,
            Verb::Bye,
        ]
    );
}

#[test]
fn every_verb_of_the_help_is_known() {
    for (verb, arguments, _) in VERBS {
        let example = match *arguments {
            "TIME" => "2s",
            "NAME[,NAME] [via METHOD] [in TAG]" => "opus,PCMU via re-invite",
            "[via METHOD] [in TAG]" => "in b7f",
            "HOST:PORT [lost]" => "127.0.0.1:5070 lost",
            "VERB" => "expect held within 3s",
            "URI|other" => "other",
            "HOST:PORT [via METHOD]" => "[::1]:4000 via UPDATE",
            "DIGITS" => "0",
            "URI" => "sips:carol@example.com",
            "WHAT [within TIME]" => "ended",
            _ => "",
        };
        assert_eq!(verbs(&format!("{verb} {example}")).len(), 1, "{verb}");
    }
}

#[test]
fn every_expectation_is_known_and_may_have_a_limit() {
    for (word, argument) in words::EXPECTATIONS {
        let argument = match *argument {
            "DIGITS" => "12#",
            "[STATUS]" => "488",
            _ => "",
        };
        for (limit, wanted) in [("", ms(5_000)), ("within 250ms", ms(250)), ("WITHIN 1.5s", ms(1_500))] {
            let [Verb::Expect { within, .. }] = verbs(&format!("expect {word} {argument} {limit}"))[..]
            else {
                panic!("expect {word} is something else");
            };
            assert_eq!(within, wanted, "{word}");
        }
    }
    let refused = |status, within| Verb::Expect { what: Expectation::Refused(status), within };
    assert_eq!(verbs("expect refused 488 within 1m"), [refused(Some(488), ms(60_000))]);
    assert_eq!(verbs("expect rejected within 1m"), [refused(None, ms(60_000))]);
}

#[test]
fn the_guide_describes_every_word() {
    let guide = include_str!("../../../../docs/guide/scripts.md");
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| `")).collect();
    let described = |word: &str| {
        let mut cells = rows.iter().filter_map(|row| row.split('|').nth(1));
        cells.any(|cell| cell.split('`').any(|code| code.split(' ').next() == Some(word)))
    };
    for (verb, ..) in VERBS {
        assert!(described(verb), "{verb}");
    }
    for (word, _) in words::EXPECTATIONS {
        assert!(described(word), "{word}");
    }
}

#[test]
fn line_ends_join_steps_and_empty_ones_do_not_count() {
    let script = Script::parse(" ; hold ;; \n\n  wait 1s\r\nbye;\n").unwrap();
    let texts: Vec<_> = script.steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(texts, ["hold", "wait 1s", "bye"]);
    assert_eq!(Script::parse("").unwrap(), Script::default());
}

#[test]
fn a_uri_in_angle_brackets_keeps_its_parameters() {
    let uri = |uri: &str| Verb::Transfer(uri.to_owned());
    assert_eq!(verbs("transfer <sip:c@h;transport=tcp>; bye"), [uri("sip:c@h;transport=tcp"), Verb::Bye]);
}

#[test]
fn errors_point_at_the_word_and_say_what_to_do() {
    let wrong = [
        "hold; wait 2s; hodl; bye",
        "dance",
        "hold resume",
        "bye now",
        "wait",
        "wait 2; bye",
        "wait soon",
        "hold via",
        "hold via info",
        "hold in",
        "hold via reinvite in b7f",
        "refuse 200",
        "refuse busy",
        "codec",
        "codec pcma,speex",
        "move 127.0.0.1",
        "dtmf 12x",
        "transfer carol",
        "transfer",
        "expect",
        "expect hold",
        "expect held within",
        "expect refused yes",
        "hold; wait 2s\nresume; bey",
        "wäit; hold",
        "transfer sip:c@h;transport=tcp",
    ];
    let errors: Vec<String> = wrong.iter().map(|text| Script::parse(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n\n"));
}
