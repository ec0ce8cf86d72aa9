//! Captures of one call in every shape give the same messages; damaged ones give what can be read.

mod damage;
mod files;
mod links;
mod segments;
mod tcp;
mod tls;
mod websocket;
mod wire;
