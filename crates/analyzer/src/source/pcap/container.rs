//! Captures and packages that are known but not read.

use crate::source::ReadError;

/// What a file is whose first bytes are these, if it is known and not read, and what converts it.
#[must_use]
pub fn container(start: &[u8]) -> Option<ReadError> {
    CONTAINERS
        .iter()
        .find(|(at, magic, ..)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|(_, _, name, converter)| ReadError::Container { name, converter })
}

const EDITCAP: &str = "editcap -F pcapng FILE FILE.pcapng";
const EVENTS: &str = "wevtutil or Event Viewer, saved as text";

/// Where the magic stands, the magic, what it is, and what converts it.
const CONTAINERS: &[(usize, &[u8], &str, &str)] = &[
    (0, b"GMBU", "Microsoft Network Monitor 2", EDITCAP),
    (0, b"RTSS", "Microsoft Network Monitor 1", EDITCAP),
    (0, b"snoop\0\0\0", "snoop", EDITCAP),
    (0, b"btsnoop\0", "btsnoop", EDITCAP),
    (0, &[0, 0, 2, 0, 0x12, 0x05, 0, 0x10], "Tektronix K12", EDITCAP),
    (0, b"TRSNIFF data    \x1a", "Network General Sniffer", EDITCAP),
    (0, b"XCP\0", "NetXray or Windows Sniffer", EDITCAP),
    (0, b"\x05VNF", "Visual Networks", EDITCAP),
    (0, b"\x7fver", "Savvius OmniPeek", EDITCAP),
    (0, b"ObserverPktBuffe", "Network Instruments Observer", EDITCAP),
    (0, &[0x01, 0x10], "Novell LANalyzer", EDITCAP),
    (0, b"iptrace 1.0", "AIX iptrace", EDITCAP),
    (0, b"iptrace 2.0", "AIX iptrace", EDITCAP),
    (0, &[0x54, 0x52, 0, 0x64, 0], "HP-UX nettl", EDITCAP),
    (0, &[0xaa, 0xaa, 0xaa, 0xaa], "Accellent 5Views", EDITCAP),
    (4, b"LfLe", "Windows event log", EVENTS),
    (0, b"ElfFile\0", "Windows event log", EVENTS),
    (0, b"PK\x03\x04", "zip archive", "unzip FILE"),
    (0, b"Rar!\x1a\x07", "RAR archive", "unrar x FILE"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive", "7z x FILE"),
    (0, &[0xfd, b'7', b'z', b'X', b'Z', 0], "xz archive", "xz -d FILE"),
    (0, &[0x28, 0xb5, 0x2f, 0xfd], "Zstandard archive", "zstd -d FILE"),
    (0, &[0x04, 0x22, 0x4d, 0x18], "LZ4 archive", "lz4 -d FILE"),
    (0, b"BZh", "bzip2 archive", "bzip2 -d FILE"),
    (257, b"ustar", "tar archive", "tar -xf FILE"),
];
