//! What tells the program from outside to come to an end.

/// Ctrl-C, or SIGTERM where there is such a thing.
pub(crate) async fn told_to_stop() {
    let pressed = async {
        // Without a handler the signal ends the program anyway.
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = pressed => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    pressed.await;
}
