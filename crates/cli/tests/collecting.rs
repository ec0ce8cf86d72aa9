//! `midcall analyze` on what has no end of its own: processes that are sent HEP over loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

const MIDCALL: &str = env!("CARGO_BIN_EXE_midcall");

/// A `midcall analyze` that collects.
struct Collector {
    child: Child,
    /// Where it listens, such as `127.0.0.1:40000`, in the order of its arguments.
    addresses: Vec<String>,
    shown: Receiver<Vec<u8>>,
    report: Vec<u8>,
}

impl Collector {
    fn start(inputs: &[&str], format: &str) -> Self {
        let mut child = Command::new(MIDCALL)
            .arg("analyze")
            .args(inputs)
            .args(["--format", format, "--fail-on", "never"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, lines) = channel();
        thread::spawn(move || said.try_for_each(|line| tell.send(line.unwrap())));
        let sockets = inputs.iter().filter(|input| input.starts_with("hep:"));
        let address = |_| {
            let line = lines.recv_timeout(Duration::from_secs(5)).expect("it begins to collect");
            line.split_once(" on ").unwrap().1.split(';').next().unwrap().to_owned()
        };
        let addresses = sockets.map(address).collect();
        let mut out = child.stdout.take().unwrap();
        let (tell, shown) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                tell.send(piece[..length].to_vec()).unwrap();
            }
        });
        Self { child, addresses, shown, report: Vec::new() }
    }

    /// Reads the report until it holds this text.
    fn tells(&mut self, text: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        while !self.text().contains(text) {
            match self.shown.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(more) => self.report.extend(more),
                Err(_) => return false,
            }
        }
        true
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.report).into_owned()
    }

    /// Presses Ctrl-C and waits for the end of the report. Whoever writes into its standard input does not end.
    fn stop(mut self) -> Output {
        let pipe: Option<ChildStdin> = self.child.stdin.take();
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                self.child.kill().unwrap();
                panic!("it goes on though it was told to stop");
            }
            thread::sleep(Duration::from_millis(20));
        };
        drop(pipe);
        self.report.extend(self.shown.iter().flatten());
        Output { status, stdout: self.report.clone(), stderr: Vec::new() }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A HEP packet of version 3 with a message that one of two agents sent to the other at this time.
fn hep(at: Duration, forth: bool, message: &str) -> Vec<u8> {
    let ports = if forth { [5060_u16, 5070] } else { [5070, 5060] };
    let seconds = u32::try_from(at.as_secs()).unwrap();
    let chunks: [(u16, &[u8]); 10] = [
        (1, &[2]),
        (2, &[17]),
        (3, &[192, 0, 2, 1]),
        (4, &[192, 0, 2, 1]),
        (7, &ports[0].to_be_bytes()),
        (8, &ports[1].to_be_bytes()),
        (9, &seconds.to_be_bytes()),
        (10, &at.subsec_micros().to_be_bytes()),
        (11, &[1]),
        (15, message.as_bytes()),
    ];
    let mut packet = b"HEP3\0\0".to_vec();
    for (kind, value) in chunks {
        packet.extend([0, 0]);
        packet.extend(kind.to_be_bytes());
        packet.extend(u16::try_from(value.len() + 6).unwrap().to_be_bytes());
        packet.extend(value);
    }
    let length = u16::try_from(packet.len()).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet
}

/// A call by a clock that is so many minutes fast, and two requests outside of it so long after its end that it is over soon.
fn call_that_is_nearly_over(call_id: &str, fast: u64) -> Vec<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60 * fast);
    let message = |first: &str, cseq: &str, tag: &str| {
        let branch = cseq.replace(' ', "");
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call_id}{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@192.0.2.1>;tag=a{call_id}\r\nTo: <sip:bob@192.0.2.1>{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\nContact: <sip:here@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let uri = "sip:bob@192.0.2.1:5070 SIP/2.0";
    let tag = format!(";tag=b{call_id}");
    let ping = format!("OPTIONS {uri}");
    let outside = |id: &str| message(&ping, "1 OPTIONS", "").replace(call_id, id);
    [
        (0, true, message(&format!("INVITE {uri}"), "1 INVITE", "")),
        (50, false, message("SIP/2.0 200 OK", "1 INVITE", &tag)),
        (100, true, message(&format!("ACK {uri}"), "1 ACK", &tag)),
        (1_000, true, message(&format!("BYE {uri}"), "2 BYE", &tag)),
        (1_050, false, message("SIP/2.0 200 OK", "2 BYE", &tag)),
        (37_000, true, outside("first-ping")),
        (37_100, true, outside("second-ping")),
    ]
    .map(|(millis, forth, text)| hep(now + Duration::from_millis(millis), forth, &text))
    .to_vec()
}

/// What is left to wait for, and some more for a machine that has much to do.
const A_WHILE: Duration = Duration::from_secs(20);

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_what_a_collector_heard_is_told_when_it_is_stopped() {
    let collector = Collector::start(&["hep:udp:127.0.0.1:0"], "json");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../analyzer/tests/formats/hep3-udp-payloads.hex");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packets = std::fs::read_to_string(sample).unwrap();
    for packet in packets.lines() {
        let digits = packet.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        socket.send_to(&bytes, &collector.addresses[0]).unwrap();
    }
    // It reads what waits in its socket; nothing tells when it has.
    thread::sleep(Duration::from_secs(1));
    let output = collector.stop();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stats"]["messages"], packets.lines().count(), "{report:#}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_call_that_is_over_is_told_though_nothing_more_comes() {
    let mut collectors = ["json", "text"].map(|format| Collector::start(&["hep:udp:127.0.0.1:0"], format));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for collector in &collectors {
        for packet in call_that_is_nearly_over("quiet-call", 5) {
            socket.send_to(&packet, &collector.addresses[0]).unwrap();
        }
    }
    for collector in &mut collectors {
        assert!(collector.tells("quiet-call", A_WHILE), "only {}", collector.text());
    }
    let [json, text] = collectors.map(Collector::stop);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["calls"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["calls"][0]["messages"].as_array().unwrap().len(), 5, "{report:#}");
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(text.matches("Call-ID quiet-call").count(), 1, "{text}");
    assert!(text.contains("BYE 2") && text.contains("All in all"), "{text}");
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_silent_source_holds_up_nobody() {
    let inputs = ["hep:tcp:127.0.0.1:0", "hep:udp:127.0.0.1:0", "-", "hep:udp:127.0.0.1:0"];
    let mut collector = Collector::start(&inputs, "json");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in call_that_is_nearly_over("udp-call", 5) {
        socket.send_to(&packet, &collector.addresses[1]).unwrap();
    }
    assert!(collector.tells("udp-call", A_WHILE), "only {}", collector.text());
    // Then another talks, and then standard input.
    let packets = call_that_is_nearly_over("tcp-call", 6);
    let mut connection = TcpStream::connect(&collector.addresses[0]).unwrap();
    connection.write_all(&packets[..5].concat()).unwrap();
    thread::sleep(Duration::from_secs(1));
    let pipe = collector.child.stdin.as_mut().unwrap();
    pipe.write_all(&packets[5..].concat()).unwrap();
    assert!(collector.tells("tcp-call", A_WHILE), "only {}", collector.text());
    let output = collector.stop();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stats"]["messages"], 14, "{report:#}");
    let messages = |call: &Value| call["messages"].as_array().unwrap().len();
    assert_eq!(report["calls"].as_array().unwrap().iter().map(messages).collect::<Vec<_>>(), [5, 5]);
    let heard: Vec<_> =
        report["sources"].as_array().unwrap().iter().map(|one| one["messages"].clone()).collect();
    assert_eq!(heard, [5, 7, 2, 0], "{report:#}");
}
