//! What is done for an order in several steps, as one table: where each step leads, and where it goes back to.
//!
//! Each step asks somebody outside, and can be asked again: every wish is keyed by the order (or by the capture or refund
//! it is). Whoever holds the lease takes the step; when the answer is known, one update names the step and the epoch it
//! leaves. An answer that is not known leaves the process where it is, for the worker to ask again.

words! {
    /// What is done.
    Task {
        Checkout = "checkout", Cancel = "cancel", Ship = "ship", Capture = "capture", Refund = "refund",
        /// Money that came after its order had failed goes back.
        Revert = "revert",
    }
}
words! {
    /// Where a process stands: what it does next.
    Step {
        Secure = "secure", Authorise = "authorise", Action = "action", Confirm = "confirm", Undo = "undo",
        Settle = "settle", Done = "done",
    }
}

/// A row of the table.
pub(crate) struct Stage {
    pub task: Task,
    pub step: Step,
    /// Who is asked, in this order.
    pub asks: &'static str,
    /// Where a yes leads.
    pub then: &'static [Step],
    /// Where a no leads. None: a no ends the process with nothing done, or there is none.
    pub back: Option<Step>,
}

const fn stage(task: Task, step: Step, asks: &'static str, then: &'static [Step], back: Option<Step>) -> Stage {
    Stage { task, step, asks, then, back }
}

/// All there is. `confirm` is the pivot: whatever stands before it goes back, what comes after it only goes on.
#[rustfmt::skip]
pub(crate) const STAGES: &[Stage] = &[
    stage(Task::Checkout, Step::Secure, "products: reserve; provider: open, authorise", &[Step::Authorise, Step::Action, Step::Confirm], Some(Step::Undo)),
    stage(Task::Checkout, Step::Authorise, "provider: authorise, or look", &[Step::Action, Step::Confirm], Some(Step::Undo)),
    stage(Task::Checkout, Step::Action, "the buyer, while the hold lasts; provider: look", &[Step::Confirm], Some(Step::Undo)),
    stage(Task::Checkout, Step::Confirm, "products: confirm", &[Step::Done], Some(Step::Undo)),
    stage(Task::Checkout, Step::Undo, "provider: void; products: release", &[Step::Done], None),
    stage(Task::Cancel, Step::Settle, "products: release; provider: void", &[Step::Done], None),
    stage(Task::Ship, Step::Settle, "products: ship", &[Step::Done], None),
    stage(Task::Capture, Step::Settle, "provider: capture", &[Step::Done], None),
    stage(Task::Refund, Step::Settle, "provider: refund", &[Step::Done], None),
    stage(Task::Revert, Step::Settle, "provider: void", &[Step::Done], None),
];

/// Whether the table leads a process of this task from one step to another.
pub(crate) fn leads(task: Task, from: Step, to: Step) -> bool {
    STAGES
        .iter()
        .any(|stage| stage.task == task && stage.step == from && (stage.then.contains(&to) || stage.back == Some(to)))
}

/// Who is asked at a step.
pub(crate) fn asks(task: Task, step: Step) -> &'static str {
    STAGES.iter().find(|stage| stage.task == task && stage.step == step).map_or("nobody", |stage| stage.asks)
}

impl Task {
    /// Where it begins.
    pub(crate) const fn first(self) -> Step {
        match self {
            Self::Checkout => Step::Secure,
            Self::Cancel | Self::Ship | Self::Capture | Self::Refund | Self::Revert => Step::Settle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// The table as the picture in `docs/checkout.md`.
    fn drawn() -> String {
        let mut text = String::from("```mermaid\nflowchart LR\n");
        let mut tasks: Vec<&str> = STAGES.iter().map(|stage| stage.task.as_str()).collect();
        tasks.dedup();
        for task in tasks {
            writeln!(text, "  subgraph {task}").unwrap();
            for stage in STAGES.iter().filter(|stage| stage.task.as_str() == task) {
                let (step, asks) = (stage.step.as_str(), stage.asks.replace("; ", "<br/>"));
                writeln!(text, "    {task}.{step}[\"<b>{step}</b><br/>{asks}\"]").unwrap();
                for then in stage.then {
                    writeln!(text, "    {task}.{step} --> {task}.{}", then.as_str()).unwrap();
                }
                if let Some(back) = stage.back {
                    writeln!(text, "    {task}.{step} -. no .-> {task}.{}", back.as_str()).unwrap();
                }
            }
            writeln!(text, "    {task}.done((done))\n  end").unwrap();
        }
        text + "```\n"
    }

    #[test]
    fn the_picture_in_the_documentation_is_this_table() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkout.md"));
        let drawn = drawn();
        assert!(page.unwrap().contains(&drawn), "docs/checkout.md should have this picture:\n{drawn}");
    }

    #[test]
    fn every_step_leads_to_the_end_and_none_back_over_the_pivot() {
        for stage in STAGES {
            let mut reached = vec![stage.step];
            let mut at = 0;
            while let Some(step) = reached.get(at).copied() {
                at += 1;
                let rows = STAGES.iter().filter(|row| row.task == stage.task && row.step == step);
                for next in rows.flat_map(|row| row.then.iter().copied().chain(row.back)) {
                    if !reached.contains(&next) {
                        reached.push(next);
                    }
                }
            }
            assert!(reached.contains(&Step::Done), "{:?} {:?}", stage.task, stage.step);
            let goes_back = stage.step == Step::Undo;
            assert!(!goes_back || !reached.contains(&Step::Confirm), "what is undone is never confirmed");
        }
        assert!(leads(Task::Checkout, Step::Confirm, Step::Done) && !leads(Task::Checkout, Step::Undo, Step::Confirm));
        assert!(!leads(Task::Cancel, Step::Settle, Step::Undo));
    }
}
