//! `midcall rules`: one rule explained, or a table of them.

use std::io::{self, Write};

use midcall_analyzer::diagnosis;
use midcall_proto::rules::{Rule, Severity, all, explain};
use owo_colors::OwoColorize;
use serde::Serialize;
use strsim::levenshtein;

use crate::options::RulesOptions;
use crate::trouble::Trouble;

/// Shows what was asked for.
pub(crate) fn run(options: &RulesOptions) -> Result<(), Trouble> {
    let rules = chosen(options.code.as_deref())?;
    let mut out = anstream::stdout();
    let written = match (&options.code, rules.as_slice()) {
        _ if options.json => json(&rules, &mut out),
        (Some(code), [rule]) if rule.code.eq_ignore_ascii_case(code) => one(rule, &mut out),
        _ => table(&rules, &mut out),
    };
    match written {
        // Whoever read this has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Trouble::failed("cannot write the rules", error.to_string(), "")),
        Ok(()) => Ok(()),
    }
}

/// The rule with this code, the rules of this family, or all.
fn chosen(code: Option<&str>) -> Result<Vec<&'static Rule>, Trouble> {
    let Some(code) = code else { return Ok(all().collect()) };
    if let Some(rule) = Rule::by_code(code) {
        return Ok(vec![rule]);
    }
    let family: Vec<_> = all().filter(|rule| rule.family().eq_ignore_ascii_case(code)).collect();
    if !family.is_empty() {
        return Ok(family);
    }
    Err(unknown(code))
}

/// Whether findings may bear this code, or one of this family: that of a rule or of a diagnosis.
pub(crate) fn is_known(code: &str) -> bool {
    codes().any(|known| known == code || known.rsplit_once('-').is_some_and(|(family, _)| family == code))
}

/// There is no such rule; the nearest ones are.
pub(crate) fn unknown(code: &str) -> Trouble {
    let upper = code.to_ascii_uppercase();
    let far = |known: &str| levenshtein(&upper, known);
    let nearest = codes().map(far).min().filter(|nearest| *nearest <= (upper.len() / 3).min(TYPOS));
    let near: Vec<&str> = codes().filter(|known| Some(far(known)) == nearest).take(SHOWN).collect();
    let mut families: Vec<&str> = all().map(Rule::family).collect();
    families.dedup();
    let families = format!(
        "the families are {}; `midcall rules UP` lists one, `midcall rules` all",
        families.join(", ")
    );
    let cure = match near.as_slice() {
        [] => families,
        near => format!("did you mean {}? {families}", near.join(" or ")),
    };
    Trouble::not_started(
        format!("there is no rule {code}"),
        "a rule is a family and a number, such as UP-13",
        cure,
    )
}

/// The codes of all rules and diagnoses.
fn codes() -> impl Iterator<Item = &'static str> {
    all().map(|rule| rule.code).chain(diagnosis::all().map(|diagnosis| diagnosis.id))
}

/// More wrong letters than this are no slip.
const TYPOS: usize = 2;
/// So many codes are named.
const SHOWN: usize = 4;

fn one(rule: &Rule, out: &mut impl Write) -> io::Result<()> {
    let text = explain(rule);
    let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
    write!(out, "{}\n{rest}", title.bold())
}

fn table(rules: &[&Rule], out: &mut impl Write) -> io::Result<()> {
    let wide = rules.iter().map(|rule| rule.title.chars().count()).max().unwrap_or_default();
    writeln!(
        out,
        "{}",
        format!("{:<7} {:<15} {:<8} {:<wide$}  Texts", "Rule", "Level", "Breach", "Title").bold()
    )?;
    for rule in rules {
        let severity = format!("{:<8}", rule.severity);
        let severity = match rule.severity {
            Severity::Error => severity.red().to_string(),
            Severity::Warning => severity.yellow().to_string(),
            _ => severity.dimmed().to_string(),
        };
        let texts: Vec<String> = rule.cites.iter().map(ToString::to_string).collect();
        let (code, texts) = (format!("{:<7}", rule.code), texts.join(", "));
        writeln!(
            out,
            "{} {:<15} {severity} {:<wide$}  {}",
            code.cyan(),
            rule.level,
            rule.title,
            texts.dimmed()
        )?;
    }
    Ok(())
}

/// A rule as programs read it.
#[derive(Serialize)]
struct Row {
    rule: &'static str,
    title: &'static str,
    level: &'static str,
    severity: &'static str,
    rfc: Vec<Section>,
    means: &'static str,
    fix: &'static str,
    reply: Option<String>,
    loss: bool,
    held: String,
}

#[derive(Serialize)]
struct Section {
    rfc: u16,
    section: &'static str,
}

fn json(rules: &[&'static Rule], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<Row> = rules
        .iter()
        .map(|rule| Row {
            rule: rule.code,
            title: rule.title,
            level: rule.level.as_str(),
            severity: rule.severity.as_str(),
            rfc: rule.cites.iter().map(|cite| Section { rfc: cite.rfc, section: cite.section }).collect(),
            means: rule.means,
            fix: rule.fix,
            reply: rule.reply.map(|reply| reply.to_string()),
            loss: rule.loss,
            held: rule.held.to_string(),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: Option<&str>, json: bool) -> String {
        let rules = chosen(code).unwrap();
        let mut out = Vec::new();
        match rules.as_slice() {
            _ if json => super::json(&rules, &mut out).unwrap(),
            [rule] => one(rule, &mut out).unwrap(),
            rules => table(rules, &mut out).unwrap(),
        }
        anstream::adapter::strip_bytes(&out)
            .into_vec()
            .into_iter()
            .map(char::from)
            .collect::<String>()
            .replace("Â§", "§")
    }

    #[test]
    fn a_rule_is_explained() {
        insta::assert_snapshot!(shown(Some("up-13"), false));
    }

    #[test]
    fn a_family_is_a_table() {
        insta::assert_snapshot!(shown(Some("gl"), false));
    }

    #[test]
    fn a_rule_in_json_has_every_field() {
        insta::assert_snapshot!(shown(Some("UP-13"), true));
    }

    #[test]
    fn all_rules_are_listed() {
        assert_eq!(shown(None, false).lines().count(), all().count() + 1);
        assert_eq!(chosen(None).unwrap().len(), all().count());
    }

    #[test]
    fn an_unknown_code_says_what_there_is() {
        insta::assert_snapshot!(chosen(Some("UQ-1")).unwrap_err());
    }
}
