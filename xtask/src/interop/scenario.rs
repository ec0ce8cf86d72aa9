//! Scenario files: `interop/<peer>/<ID>.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::ladder::{self, Role};

/// One scenario with its seats.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The rules this scenario is about.
    #[serde(default)]
    pub(crate) rules: Vec<String>,
    #[serde(default)]
    pub(crate) seat: Vec<Seat>,
}

/// One way to play a scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seat {
    /// What tells this seat from the others of the scenario.
    #[serde(default)]
    pub(crate) name: String,
    /// Only as this one; otherwise both where the ladder fits both.
    #[serde(rename = "as")]
    pub(crate) only: Option<String>,
    /// midcall's script.
    #[serde(rename = "do", default)]
    pub(crate) script: String,
    /// Whom midcall calls, if not the first peer in the usual way.
    pub(crate) target: Option<String>,
    /// More arguments of midcall.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// The exit code midcall must have; -1 where both 0 and 1 will do.
    #[serde(default)]
    pub(crate) exit: i32,
    /// midcall has nothing to end on and is stopped when its peers are done.
    #[serde(default)]
    pub(crate) endless: bool,
    /// The ladder between midcall and its first peer, then those with others.
    pub(crate) ladder: String,
    pub(crate) c: Option<String>,
    pub(crate) d: Option<String>,
    /// Mark of the first ladder at which C (and D) start to call.
    pub(crate) after: Option<String>,
    /// More arguments of SIPp.
    #[serde(default)]
    pub(crate) sipp: Vec<String>,
    /// Script of baresip, from the moment the call is up.
    #[serde(default)]
    pub(crate) baresip: String,
    /// Proxies in between, and what they are told to do besides.
    #[serde(default)]
    pub(crate) proxies: usize,
    #[serde(default)]
    pub(crate) kamailio: Vec<String>,
    /// Seconds until everything is stopped.
    #[serde(default = "default_limit")]
    pub(crate) limit: u64,
    /// Bodies for `body:name`.
    #[serde(default)]
    pub(crate) bodies: BTreeMap<String, String>,
    /// General rules this seat is known to leave, by the words of their complaint.
    #[serde(default)]
    pub(crate) except: Vec<String>,
}

fn default_limit() -> u64 {
    20
}

impl Seat {
    pub(crate) fn roles(&self) -> Vec<Role> {
        match self.only.as_deref() {
            Some("caller") => vec![Role::Caller],
            Some(_) => vec![Role::Callee],
            None if ladder::fits_both(&self.ladder) => vec![Role::Caller, Role::Callee],
            None => vec![ladder::role(&self.ladder)],
        }
    }

    /// midcall's whole script: setting up the call is written once, here.
    pub(crate) fn whole_script(&self, role: Role) -> String {
        let set_up = match role {
            _ if !ladder::fits_both(&self.ladder) => "",
            Role::Caller => "expect established within 5s; ",
            Role::Callee => "answer; expect established within 5s; ",
        };
        format!("{set_up}{}", self.script).trim_end_matches([';', ' ']).to_string()
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }
}

/// Every scenario of a folder, by id.
pub(crate) fn load(folder: &Path) -> Result<Vec<Scenario>, String> {
    let mut all = Vec::new();
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
        let scenario: Scenario = toml::from_str(&text).map_err(|e| format!("{name}: {e}"))?;
        if path.file_stem().and_then(|s| s.to_str()) != Some(&scenario.id) {
            return Err(format!("{name}: the file is not named after {}", scenario.id));
        }
        for seat in &scenario.seat {
            for role in seat.roles() {
                for text in [Some(&seat.ladder), seat.c.as_ref(), seat.d.as_ref()].into_iter().flatten() {
                    ladder::parse(text, role).map_err(|e| format!("{name}: {e}"))?;
                }
            }
        }
        all.push(scenario);
    }
    Ok(all)
}
