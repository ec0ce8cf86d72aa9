//! (module documentation to come)
pub mod multipart;
pub mod rtp;
pub mod sdp;
