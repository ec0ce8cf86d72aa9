//! What a message says against its own form: the checks a receiver makes before it acts on it.
