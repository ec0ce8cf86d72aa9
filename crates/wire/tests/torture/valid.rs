//! RFC 4475 §3.1.1: valid messages.

use midcall_wire::{Frame, Framer, Limits, Method, Name, Scheme, Uri, unescape};

use crate::{accepted, wire};

/// §3.1.1.1: folding everywhere, spaces wherever they may be, short and long names, odd order and case.
#[test]
fn wsinv() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@chair-dnrc.example.com;unknownparam SIP/2.0
        |TO :
        | sip:carol@chair-dnrc.example.com ;   tag    = 1918181833n
        |from   : "A Liddell \\\""       <sip:alice@example.com>
        |  ;
        |  tag = 98asjd8
        |MaX-fOrWaRdS: 0068
        |Call-ID: wsinv.of.ours@192.0.2.1
        |Content-Length   : {length}
        |cseq: 0009
        |  INVITE
        |Via  : SIP  /   2.0
        | /UDP
        |    192.0.2.2;branch=390skdjuw
        |s :
        |NewFangledHeader:   newfangled value
        | continued newfangled value
        |UnknownHeaderWithUnusualValue: ;;,,;;,;
        |Content-Type: application/sdp
        |Route:
        | <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
        |v:  SIP  / 2.0  / TCP     spindle.example.com   ;
        |  branch  =   z9hG4bK9ikj8  ,
        | SIP  /    2.0   / UDP  192.168.255.111   ; branch=
        | z9hG4bK30239
        |m:"Quoted string \"\"" <sip:alice@example.com> ; newparam =
        |      newvalue ;
        |  secondparam ; q = 0.33
        |
        |{sdp}
        "#,
    );
    let message = accepted(&bytes);
    assert_eq!(message.method(), Method::Invite);
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.user, uri.host), (Some("carol"), "chair-dnrc.example.com"));
    assert_eq!(uri.params.get("unknownparam"), Some(None));

    let to = message.to().unwrap();
    assert_eq!((to.uri, to.tag()), ("sip:carol@chair-dnrc.example.com", Some("1918181833n")));
    let from = message.from().unwrap();
    assert_eq!(from.display_name().as_deref(), Some("A Liddell \\\""));
    assert_eq!((from.uri, from.tag()), ("sip:alice@example.com", Some("98asjd8")));
    assert_eq!(message.max_forwards(), Some(Ok(68)));
    assert_eq!(message.call_id(), Ok("wsinv.of.ours@192.0.2.1"));
    let cseq = message.cseq().unwrap();
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));

    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    let vias: Vec<_> = vias.iter().map(|via| (via.transport, via.host, via.branch().unwrap())).collect();
    assert_eq!(
        vias,
        [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
    );
    assert_eq!(message.count(Name::Via), 2);
    assert_eq!(message.header(Name::Subject), Some(""));
    assert_eq!(message.values(Name::Subject).count(), 0);
    assert_eq!(
        message.header_named("newfangledheader"),
        Some("newfangled value\r\n continued newfangled value")
    );
    assert_eq!(message.header_named("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let route = message.addresses(Name::Route).next().unwrap().unwrap().uri().unwrap();
    assert_eq!((route.host, route.params.has("lr")), ("services.example.com", true));
    assert_eq!(route.params.value("unknownwith"), Some("value"));
    assert_eq!(route.params.get("unknown-no-value"), Some(None));
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.display_name().as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.value("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("secondparam"), Some(None));
    assert_eq!(contact.params.value("q"), Some("0.33"));
    assert_eq!(message.content_length(), Some(Ok(message.body().len())));
    assert_eq!(message.sdp(), Some(message.body()));
}

/// §3.1.1.2: every character a token, a user part, a quoted string and a Call-ID may hold.
#[test]
fn intmeth() {
    let text = wire(
        r#"
        |!interesting-Method0123456789_*+`.%indeed'~ sip:2_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
        |Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~
        |To: "BEL:\<07> NUL:\<00> DEL:\<7F>" <sip:2_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
        |From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="работающий";tag=_token~1'+`*%!-.
        |Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{
        |CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~
        |Max-Forwards: 255
        |extensionHeader-!.%*+_`'~:大停電
        |Content-Length: 0
        |
        "#,
    );
    let text = String::from_utf8(text).unwrap();
    let text = text.replace("<07>", "\x07").replace("<00>", "\0").replace("<7F>", "\x7f");
    let text = text.replace("大停電", "\u{feff}大停電");
    let message = accepted(text.as_bytes());
    assert_eq!(message.method(), Method::Other);
    assert_eq!(message.method_name(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(message.cseq().unwrap().name, message.method_name());
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.user, Some("2_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!((uri.host, uri.port, uri.headers), ("example.com", None, None));
    assert_eq!(message.top_via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    let to = message.to().unwrap();
    assert_eq!(to.display_name().as_deref(), Some("BEL:\x07 NUL:\0 DEL:\x7f"));
    assert_eq!(to.uri().unwrap().user, uri.user);
    let from = message.from().unwrap();
    assert_eq!(from.display, Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(from.params.value("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.call_id(), Ok("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"));
    assert_eq!(message.max_forwards(), Some(Ok(255)));
    assert_eq!(message.header_named("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

/// §3.1.1.3: escapes in user parts, parameter names and values.
#[test]
fn esc01() {
    let bytes = wire(
        "
        |INVITE sip:sips%3Acarol%40example.com@example.net SIP/2.0
        |To: sip:%63aro%6C@example.com
        |From: <sip:I%20have%20spaces@example.net>;tag=938
        |Max-Forwards: 87
        |i: esc01.of.ours
        |CSeq: 234234 INVITE
        |Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw
        |C: application/sdp
        |Contact:
        |  <sip:al%69ce@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>
        |Content-Length: {length}
        |
        |{sdp}
        ",
    );
    let message = accepted(&bytes);
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.scheme, uri.host), (Scheme::Sip, "example.net"));
    assert_eq!(uri.user.map(unescape).as_deref(), Some("sips:carol@example.com"));
    let to = message.to().unwrap().uri().unwrap();
    assert!(to.same(&Uri::parse("sip:carol@example.com").unwrap()));
    let from = message.from().unwrap().uri().unwrap();
    assert_eq!(from.user.map(unescape).as_deref(), Some("I have spaces"));
    let contact = message.contact().unwrap().unwrap().uri().unwrap();
    assert!(contact.params.has("lr"));
    // Decoded once, and not again: this is not "valueA".
    assert_eq!(contact.params.value("name").map(unescape).as_deref(), Some("value%41"));
    assert!(!contact.same(&Uri::parse("sip:alice@host5.example.net;lr;name=valueA").unwrap()));
    assert!(contact.same(&Uri::parse("sip:alice@host5.example.net;lr;name=value%25%34%31").unwrap()));
}

/// §3.1.1.4: NUL characters in user parts count.
#[test]
fn escnull() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: sip:null-%00-null@example.com
        |From: sip:null-%00-null@example.com;tag=839923423
        |Max-Forwards: 70
        |Call-ID: escnull.of.ours
        |CSeq: 14398234 REGISTER
        |Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
        |Contact: <sip:%00@host5.example.com>
        |Contact: <sip:%00%00@host5.example.com>
        |L:0
        |
        ",
    );
    let message = accepted(&bytes);
    let to = message.to().unwrap().uri().unwrap();
    assert_eq!(to.user.map(unescape).as_deref(), Some("null-\0-null"));
    let contacts: Vec<_> = message.contacts().map(|contact| contact.unwrap().uri().unwrap()).collect();
    let [one, two] = contacts[..] else { panic!("two contacts") };
    assert_eq!(one.user.map(unescape).as_deref(), Some("\0"));
    assert_eq!(two.user.map(unescape).as_deref(), Some("\0\0"));
    assert!(!one.same(&two));
    assert_eq!(message.content_length(), Some(Ok(0)));
}

/// §3.1.1.5: a percent sign in a method, a header name, a quoted string or a branch escapes nothing.
#[test]
fn esc02() {
    let bytes = wire(
        r#"
        |RE%47IST%45R sip:registrar.example.com SIP/2.0
        |To: "%Z%45" <sip:resource@example.com>
        |From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
        |Call-ID: esc02.of.ours
        |Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234
        |CSeq: 29344 RE%47IST%45R
        |Max-Forwards: 70
        |Contact: <sip:alias1@host1.example.com>
        |C%6Fntact: <sip:alias2@host2.example.com>
        |Contact: <sip:alias3@host3.example.com>
        |l: 0
        |
        "#,
    );
    let message = accepted(&bytes);
    assert_eq!((message.method(), message.method_name()), (Method::Other, "RE%47IST%45R"));
    assert_eq!(message.to().unwrap().display_name().as_deref(), Some("%Z%45"));
    assert_eq!(message.top_via().unwrap().branch(), Some("z9hG4bK209%fzsnel234"));
    let contacts: Vec<_> = message.contacts().map(|contact| contact.unwrap().uri).collect();
    assert_eq!(contacts, ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]);
    assert_eq!(message.header_named("C%6Fntact"), Some("<sip:alias2@host2.example.com>"));
}

/// §3.1.1.6: no space between the display name and the bracket.
#[test]
fn lwsdisp() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: alice<sip:alice@example.com>;tag=323
        |Max-Forwards: 70
        |Call-ID: lwsdisp.of.ours@funky.example.com
        |CSeq: 60 OPTIONS
        |Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let from = message.from().unwrap();
    assert_eq!((from.display, from.uri), (Some("alice"), "sip:alice@example.com"));
}

/// §3.1.1.7: long names, long values, and more lines than the index holds inline.
#[test]
fn longreq() {
    let long = |text: &str, count| text.repeat(count);
    let name = format!("I have a user name of {} proportion", long("extreme", 10));
    let user = long("amazinglylongcallername", 5);
    let tag = format!("12{}424", long("982", 50));
    let call_id = format!("longreq.one{}longcallid", long("really", 20));
    let branch = format!("very{}branchvalue", long("long", 50));
    let mut text = format!(
        "|INVITE sip:carol@example.com SIP/2.0
         |To: \"{name}\"<sip:carol@example.com:6000;unknownparam1=very{}value;longparam{}=shortvalue;very{}ParameterNameWithNoValue>
         |F: sip:{user}@example.net;tag={tag};unknownheaderparam{}=unknowheaderparam{};unknownValueless{}
         |Call-ID: {call_id}
         |CSeq: 3882340 INVITE
         |Unknown-{longs}-Name: unknown-{longs}-value; unknown-{longs}-parameter-name = unknown-{longs}-parameter-value
",
        long("long", 20),
        long("name", 25),
        long("long", 25),
        long("name", 20),
        long("value", 15),
        long("paramname", 10),
        longs = long("Long", 20),
    );
    let spellings = [
        "Via:", "v:", "V:", "Via:", "ViA:", "VIa:", "VIA:", "via:", "viA:", "vIa:", "vIA:", "V :", "v :",
        "V  :",
    ];
    for number in (1..=33).rev() {
        let spelling = spellings.get(33 - number).unwrap_or(&"Via:");
        text += &format!("|{spelling} SIP/2.0/TCP sip{number}.example.com\n");
    }
    text += &format!(
        "|Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch={branch}
         |Max-Forwards: 70
         |Contact: <sip:{user}@host5.example.net>
         |Content-Type: application/sdp
         |l: {{length}}
         |
         |{{sdp}}"
    );
    let bytes = wire(&text);
    let message = accepted(&bytes);
    let to = message.to().unwrap();
    assert_eq!(to.display, Some(name.as_str()));
    let uri = to.uri().unwrap();
    assert_eq!(uri.port, Some(6000));
    assert_eq!(uri.params.iter().count(), 3);
    assert_eq!(uri.params.value(&format!("longparam{}", long("name", 25))), Some("shortvalue"));
    let from = message.from().unwrap();
    assert_eq!(from.uri().unwrap().user, Some(user.as_str()));
    assert_eq!(from.tag(), Some(tag.as_str()));
    assert_eq!(from.params.iter().count(), 3);
    assert_eq!(message.call_id(), Ok(call_id.as_str()));
    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    assert_eq!(vias.len(), 34);
    assert_eq!((vias[0].host, vias[32].host), ("sip33.example.com", "sip1.example.com"));
    assert_eq!((vias[33].branch(), vias[33].received()), (Some(branch.as_str()), Some("192.0.2.5")));
    assert_eq!(message.sdp(), Some(message.body()));
}

/// §3.1.1.8: bytes behind the message are noise, even if they look like another one.
#[test]
fn dblreq() {
    let mut bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: sip:b.jones@example.com
        |From: sip:b.jones@example.com;tag=43251j3j324
        |Max-Forwards: 8
        |I: dblreq.of.ours
        |Contact: sip:b.jones@host.example.com
        |CSeq: 8 REGISTER
        |Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
        |Content-Length: 0
        |
        ",
    );
    let length = bytes.len();
    bytes.extend(wire(
        "
        |INVITE sip:carol@example.com SIP/2.0
        |t: sip:carol@example.com
        |From: sip:alice@example.net;tag=141334
        |Max-Forwards: 8
        |Call-ID: dblreq.of.ours.too@192.0.2.15
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ",
    ));
    let message = accepted(&bytes);
    assert_eq!((message.method(), message.bytes().len()), (Method::Register, length));
    assert_eq!(message.body(), b"");
    assert_eq!(message.call_id(), Ok("dblreq.of.ours"));
    // On a stream the same bytes are two messages.
    let mut framer = Framer::new(Limits::default());
    framer.push(&bytes);
    assert_eq!(framer.filter(|frame| matches!(frame, Ok(Frame::Message(_)))).count(), 2);
}

/// §3.1.1.9: a semicolon and an escaped at sign in the user part.
#[test]
fn semiuri() {
    let bytes = wire(
        "
        |OPTIONS sip:carol;par=c%40example.net@example.com SIP/2.0
        |To: sip:b_jones@example.com
        |From: sip:alice@example.org;tag=33242
        |Max-Forwards: 3
        |Call-ID: semiuri.of.ours
        |CSeq: 8 OPTIONS
        |Accept: application/sdp, application/pkcs7-mime,
        |        multipart/mixed, multipart/signed,
        |        message/sip, message/sipfrag
        |Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.user.map(unescape).as_deref(), Some("carol;par=c@example.net"));
    assert_eq!((uri.host, uri.params.is_empty()), ("example.com", true));
    let accept: Vec<_> = message.values(Name::Accept).collect();
    assert_eq!(accept.len(), 6);
    assert_eq!((accept[2], accept[5]), ("multipart/mixed", "message/sipfrag"));
}

/// §3.1.1.10: known and unknown transports in Via.
#[test]
fn transports() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: <sip:alice@example.com>;tag=323
        |Max-Forwards: 70
        |Call-ID:  transports.of.ours
        |Accept: application/sdp
        |CSeq: 60 OPTIONS
        |Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw
        |Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
        |Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
        |Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
        |Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let transports: Vec<_> = message.vias().map(|via| via.unwrap().transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

/// §3.1.1.11: a multipart body with a binary part that holds NUL bytes.
#[test]
fn mpart01() {
    let binary: Vec<u8> = (0..=255).chain([0, 0, b'\r', b'\n', 0]).collect();
    let mut body =
        b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                     Hello\r\n--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\
                     Content-Transfer-Encoding: binary\r\n\r\n"
            .to_vec();
    body.extend(&binary);
    body.extend(b"\r\n--7a9cbec02ceef655--\r\n");
    let head = wire(
        "
        |MESSAGE sip:dave@example.org SIP/2.0
        |Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
        |Max-Forwards: 70
        |Route: <sip:127.0.0.1:5080>
        |Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA=
        |Contact: <sip:alice@127.0.0.1:5070>
        |To: <sip:dave@example.org>
        |From: <sip:alice@example.com>;tag=2fb0dcc9
        |Call-ID: mpart01.of.ours@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
        |CSeq: 1 MESSAGE
        |Content-Transfer-Encoding: binary
        |Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
        |Date: Sat, 15 Oct 2005 04:44:56 GMT
        |User-Agent: midcall/0.1 (tests)
        |Content-Length: LENGTH
        |
        ",
    );
    let head = String::from_utf8(head).unwrap().replace("LENGTH", &body.len().to_string());
    let bytes = [head.as_bytes(), &body].concat();
    let message = accepted(&bytes);
    assert_eq!((message.method(), message.body()), (Method::Message, body.as_slice()));
    assert_eq!(message.top_via().unwrap().rport(), Some(None));
    assert_eq!(message.date().unwrap().unwrap().unix_seconds(), 1_129_351_496);
    let content_type = message.content_type().unwrap();
    assert!(content_type.is("multipart/mixed"));
    assert_eq!(content_type.params.value("boundary"), Some("7a9cbec02ceef655"));
    let header = message.header(Name::ContentType).unwrap();
    let parts = midcall_wire::multipart::Multipart::parse(header, message.body()).unwrap();
    let parts: Vec<_> = parts.map(|part| (part.content_type(), part.body())).collect();
    assert_eq!(parts, [("text/plain", &b"Hello"[..]), ("application/octet-stream", &binary[..])]);
    assert_eq!(message.sdp(), None);
}

/// §3.1.1.12: a reason phrase that is not the usual one, and not ASCII.
#[test]
fn unreason() {
    let bytes = wire(
        "
        |SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое
        |Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
        |Call-ID: unreason.of.ours
        |CSeq: 35 INVITE
        |From: sip:alice@example.com;tag=11141343
        |To: sip:carol@example.edu;tag=2229
        |Content-Length: {length}
        |Content-Type: application/sdp
        |Contact: <sip:carol@host198.example.com>
        |
        |{sdp}
        ",
    );
    let message = accepted(&bytes);
    assert_eq!((message.status(), message.method()), (Some(200), Method::Invite));
    let reason = std::str::from_utf8(message.reason_phrase()).unwrap();
    assert_eq!(reason, "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!(message.check_reply(), Ok(()));
}

/// §3.1.1.13: no reason phrase at all.
#[test]
fn noreason() {
    let text = "
        |SIP/2.0 100\x20
        |Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
        |Call-ID: noreason.of.ours
        |CSeq: 35 INVITE
        |From: <sip:alice@example.com>;tag=39ansfi3
        |To: <sip:carol@example.edu>;tag=902jndnke3
        |Content-Length: 0
        |Contact: <sip:carol@host105.example.com>
        |
        ";
    let bytes = wire(text);
    let message = accepted(&bytes);
    assert_eq!((message.status(), message.reason_phrase()), (Some(100), &b""[..]));
    // Without the space it is not valid, and taken all the same.
    let bytes = wire(&text.replace("100\x20", "100"));
    assert_eq!(accepted(&bytes).status(), Some(100));
}
