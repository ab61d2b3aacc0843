//! A picture that GitHub draws: what is in this process in a box, calls as arrows, events as dotted ones.
use super::{Module, Topology};
use std::fmt::Write;

impl Topology {
    pub(crate) fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let (here, elsewhere): (Vec<&Module>, Vec<&Module>) = self.modules.iter().partition(|module| module.here);
        if !here.is_empty() {
            text.push_str("  subgraph process[\"this process\"]\n");
            here.iter().for_each(|module| text.push_str(&node(module)));
            text.push_str("  end\n");
        }
        elsewhere.iter().for_each(|module| text.push_str(&node(module)));
        for calls in &self.calls {
            let _ = writeln!(text, "  {} -- \"{}\" --> {}", calls.caller, calls.traits.join(", "), calls.callee);
        }
        for heard in &self.listens {
            let _ = writeln!(text, "  {} -. \"{}\" .-> {}", heard.teller, heard.events.join(", "), heard.listener);
        }
        text
    }
}

fn node(module: &Module) -> String {
    let place = module.place.as_deref().filter(|place| *place != "local" && !module.here);
    let lines = [place, module.database, Some(module.health.as_str())].into_iter().flatten();
    let lines: Vec<&str> = std::iter::once(module.module.as_str()).chain(lines).collect();
    format!("    {}[\"{}\"]\n", module.module, lines.join("<br/>"))
}
