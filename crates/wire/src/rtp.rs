//! RTP and RTCP headers. RFC 3550 §5, §6.
