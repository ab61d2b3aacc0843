//! `cleave certs`: an authority of the shop's own, and a certificate a module. For development, and for shops that have
//! no other authority; whoever has one lets it write the same files.
mod authority;
mod staged;

use super::Failed;
use crate::settings::ModuleName;
use authority::{Authority, Signed};
use clap::{Args, Subcommand};
use host::GrpcSettings;
use kernel::{Clock, SystemClock, Time};
use staged::Staged;
use std::{
    fs,
    path::{Path, PathBuf},
};
use wire::tls::Certificates;

const ROOT: &str = "authority.pem";
const ROOT_KEY: &str = "authority.key";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an authority, and a certificate and a key for each module.
    Init(Options),
    /// Make a module's certificate and key anew, from the authority that is there.
    Issue {
        module: ModuleName,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Args)]
pub(crate) struct Options {
    /// Where the files lie; `grpc.certificates` without it.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long certificates of modules are good.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Whose modules they are; `grpc.trust_domain` without it.
    #[arg(long, value_name = "NAME")]
    trust_domain: Option<String>,
}

pub(crate) fn run(settings: &GrpcSettings, command: Command) -> Result<(), Failed> {
    let lines = match command {
        Command::Init(options) => init(&Plan::new(settings, options))?,
        Command::Issue { module, options } => issue(&Plan::new(settings, options), module)?,
    };
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

struct Plan {
    dir: PathBuf,
    days: u32,
    trust_domain: String,
}

impl Plan {
    fn new(settings: &GrpcSettings, options: Options) -> Self {
        Self {
            dir: options.dir.unwrap_or_else(|| settings.certificates.clone()),
            days: options.days,
            trust_domain: options.trust_domain.unwrap_or_else(|| settings.trust_domain.clone()),
        }
    }
    fn sign(&self, authority: &Authority, module: &str) -> Result<Signed, Failed> {
        authority.leaf(&self.trust_domain, module, now(), self.days)
    }
    /// What was made for `module`, as a sentence.
    fn made(&self, module: &str, leaf: &Signed) -> String {
        let (file, id) = (self.dir.join(leaf_file(module)), wire_id(&self.trust_domain, module));
        format!("made {} and its key for {id}, valid until {}", file.display(), leaf.until)
    }
}

fn init(plan: &Plan) -> Result<Vec<String>, Failed> {
    for file in [ROOT, ROOT_KEY].map(|name| plan.dir.join(name)) {
        if file.exists() {
            let (file, dir) = (file.display(), plan.dir.display());
            return Err(format!(
                "{file} is there already: `cleave certs issue MODULE --dir {dir}` makes a module's certificate anew; \
                 for a change of authority name another folder with --dir, and go on as docs/certificates.md says"
            )
            .into());
        }
    }
    let root = authority::root(&plan.trust_domain, now())?;
    let authority = Authority::read(&root.certificate, &root.key, now())?;
    let staged = Staged::in_folder(&plan.dir)?;
    let mut lines = vec![format!("made {}, valid until {}", plan.dir.join(ROOT).display(), root.until)];
    for module in ModuleName::ALL.map(ModuleName::as_str) {
        let leaf = plan.sign(&authority, module)?;
        put(&staged, module, &leaf)?;
        lines.push(plan.made(module, &leaf));
    }
    staged.put(ROOT_KEY, &root.key, 0o600)?;
    staged.put(ROOT, &root.certificate, 0o644)?;
    believed(staged.folder(), plan, &ModuleName::ALL.map(ModuleName::as_str))?;
    // The authority last: with it there, nothing is missing.
    let leafs =
        ModuleName::ALL.map(ModuleName::as_str).into_iter().flat_map(|module| [key_file(module), leaf_file(module)]);
    staged.publish(leafs.chain([ROOT_KEY.into(), ROOT.into()]))?;
    lines.push(format!(
        "next: hand each process {ROOT} and the .pem and .key of its modules, and set grpc.certificates to their \
         folder; {ROOT_KEY} signs for the whole shop, so keep it where no process runs"
    ));
    Ok(lines)
}

fn issue(plan: &Plan, module: ModuleName) -> Result<Vec<String>, Failed> {
    let (root, key) = (read(&plan.dir, ROOT)?, read(&plan.dir, ROOT_KEY)?);
    let authority = Authority::read(&root, &key, now())?;
    let module = module.as_str();
    let leaf = plan.sign(&authority, module)?;
    let staged = Staged::in_folder(&plan.dir)?;
    put(&staged, module, &leaf)?;
    staged.put(ROOT, &root, 0o644)?;
    believed(staged.folder(), plan, &[module])?;
    staged.publish([key_file(module), leaf_file(module)])?;
    let next = "next: processes that read this folder show it within grpc.reload_seconds; hand it to the others";
    Ok(vec![plan.made(module, &leaf), next.into()])
}

/// Nothing is put in place that the processes would not take.
fn believed(folder: &Path, plan: &Plan, modules: &[&str]) -> Result<(), Failed> {
    let opened = Certificates::open(folder, &plan.trust_domain, modules);
    opened.map(drop).map_err(|bad| Failed(format!("{}: nothing was made: {}", plan.dir.display(), bad.flaw)))
}

fn put(staged: &Staged, module: &str, leaf: &Signed) -> Result<(), Failed> {
    staged.put(&key_file(module), &leaf.key, 0o600)?;
    staged.put(&leaf_file(module), &leaf.certificate, 0o644)
}

fn read(dir: &Path, name: &str) -> Result<String, Failed> {
    let file = dir.join(name);
    let hint = "`cleave certs init` makes an authority; if another one signs for this shop, ask it";
    fs::read_to_string(&file).map_err(|error| Failed(format!("{}: {error}; {hint}", file.display())))
}

/// In whole seconds, as certificates have it.
fn now() -> Time {
    Time::from_micros(SystemClock.now().seconds().saturating_mul(1_000_000))
}

fn leaf_file(module: &str) -> String {
    format!("{module}.pem")
}
fn key_file(module: &str) -> String {
    format!("{module}.key")
}
fn wire_id(trust_domain: &str, module: &str) -> String {
    format!("spiffe://{trust_domain}/{module}")
}

#[cfg(test)]
mod tests;
