//! Which calls and findings are shown.

use midcall_analyzer::model::Call;

use crate::options::AnalyzeOptions;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    call_id: Option<String>,
}

impl Filter {
    pub(super) fn of(options: &AnalyzeOptions) -> Self {
        Self { call_id: options.call_id.clone() }
    }

    /// Whether a call is shown. Findings that were not asked for are taken out of it.
    pub(super) fn lets_through(&self, call: &mut Call) -> bool {
        self.call_id.as_ref().is_none_or(|part| call.call_id.contains(part.as_str()))
    }
}
