//! What must hold of everything that is stored here, recomputed.
use super::Failed;
use crate::{settings::Settings, shop};
use clap::Args;
use kernel::{Check, Finding};
use std::{fmt::Write, process::ExitCode};

/// Nothing is known then: neither that all holds, nor that anything is off.
pub(crate) const COULD_NOT_LOOK: u8 = 2;

#[derive(Args)]
pub(crate) struct Form {
    /// Print the checks as a JSON list.
    #[arg(long)]
    json: bool,
    /// Also what holds only while nobody buys: nothing is under way, held or waiting.
    #[arg(long)]
    at_rest: bool,
}

pub(crate) async fn run(settings: &Settings, form: &Form) -> Result<ExitCode, Failed> {
    if shop::domains(settings).is_empty() {
        return Err("no domain is here, so there are no tables to look at: name one with --only".into());
    }
    let checks = shop::audit(settings, form.at_rest).await?;
    if form.json {
        println!("{}", serde_json::to_string_pretty(&checks).map_err(|error| error.to_string())?);
    } else {
        print!("{}", text(&checks));
    }
    Ok(if checks.iter().all(|check| check.off == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    checks.iter().for_each(|check| line(&mut text, check).expect("a string takes all"));
    let off = checks.iter().filter(|check| check.off > 0).count();
    let end = match off {
        0 => format!("{} checks: everything holds\n", checks.len()),
        _ => format!("{} checks: {off} of them off\n", checks.len()),
    };
    text + &end
}

fn line(text: &mut String, check: &Check) -> std::fmt::Result {
    let Check { name, holds, looked_at, off, findings } = check;
    if *off == 0 {
        return writeln!(text, "ok   {name:<44} {looked_at:>9}");
    }
    writeln!(text, "OFF  {name:<44} {looked_at:>9}  {off} off: {holds}")?;
    for Finding { subject, detail } in findings {
        writeln!(text, "     {subject}: {detail}")?;
    }
    match off - findings.len() as u64 {
        0 => Ok(()),
        more => writeln!(text, "     .. and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_told_below_its_check_and_the_rest_is_counted() {
        let fine = Check { looked_at: 3, ..Check::new("users.a", "a holds") };
        let mut off = Check { looked_at: 30, ..Check::new("orders.b", "b holds") };
        (0..25).for_each(|n| off.found(format!("order_{n}"), "no event tells of it"));
        let told = text(&[fine.clone(), off]);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("ok   users.a ") && lines[0].ends_with(" 3"), "{told}");
        assert!(lines[1].starts_with("OFF  orders.b ") && lines[1].ends_with("30  25 off: b holds"), "{told}");
        assert_eq!(lines[2], "     order_0: no event tells of it");
        assert_eq!((lines[22], lines[23]), ("     .. and 5 more", "2 checks: 1 of them off"));
        assert_eq!(text(&[fine]).lines().last(), Some("1 checks: everything holds"));
    }
}
