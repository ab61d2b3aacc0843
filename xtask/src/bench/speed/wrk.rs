//! The closed loop: `wrk` asks again as soon as it is answered.
//!
//! By itself `wrk` counts only statuses from 400 on as errors, and a callback a response would slow it where tens of
//! thousands are answered a second. So for plain reads one answer is looked at before and after each turn, and what
//! came in a request must be about as long as that; any other load has its statuses counted by a callback.
use super::turn::{Told, Tools, printed};
use crate::{
    bench::goods::{self, asked},
    error::{Context, Result},
};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What is asked. In the script `TURN` is a number that no other turn has.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) base: String,
    /// Asked by all requests, unless the script says otherwise.
    pub(super) path: String,
    /// Lua, before the part that tells.
    pub(super) script: String,
    /// What every answer must be. None: a plain read.
    pub(super) status: Option<u16>,
    /// A plain read by whoever has the answer of this tag.
    pub(super) tag: Option<String>,
}

/// Times in microseconds.
#[derive(Deserialize)]
struct Summary {
    requests: u64,
    duration: f64,
    bytes: u64,
    errors: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

/// Headers of an answer.
const HEAD: u64 = 2048;

/// In a thread, `thread` is its number from 0 on, of `of`.
fn setup(threads: usize) -> String {
    format!(
        "threads, other, of = {{}}, 0, {threads}\n\
         setup = function(t) t:set('thread', #threads); table.insert(threads, t) end\n"
    )
}

const TELL: &str = r#"
done = function(s, l, r)
  local e, other = s.errors, 0
  for _, t in ipairs(threads) do other = other + (t:get('other') or 0) end
  io.write(string.format('TOLD {"requests":%d,"duration":%d,"bytes":%d,"errors":%d,"p50":%f,"p90":%f,"p99":%f,"p999":%f}\n',
    s.requests, s.duration, s.bytes, e.connect + e.read + e.write + e.status + e.timeout + other,
    l:percentile(50), l:percentile(90), l:percentile(99), l:percentile(99.9)))
end
"#;

impl Job {
    pub(super) fn read(base: &str, path: &str, script: String) -> Self {
        Self { base: base.to_owned(), path: path.to_owned(), script, status: None, tag: None }
    }

    /// Every status is looked at.
    pub(super) fn checked(base: &str, path: &str, script: String, status: u16) -> Self {
        Self { status: Some(status), ..Self::read(base, path, script) }
    }

    /// Asks from now on as whoever has the answer.
    pub(super) async fn know(&mut self) -> Result<()> {
        let url = format!("{}{}", self.base, self.path);
        let answer = goods::client()?.get(&url).send().await.context(format_args!("no answer from {url}"))?;
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.context(format_args!("{url} has no tag"))?;
        self.script.push_str(&format!("wrk.headers['if-none-match'] = '{tag}'\n"));
        self.tag = Some(tag.to_owned());
        Ok(())
    }

    fn lua(&self, turn: usize, threads: usize) -> String {
        let mut lua = setup(threads);
        lua.push_str(&self.script.replace("TURN", &turn.to_string()));
        if let Some(status) = self.status {
            // What was asked last may be answered after the end; what counts here is never right.
            lua.push_str(&format!(
                "\nresponse = function(status) if status ~= {status} then other = other + 1 end end\n"
            ));
        }
        lua + TELL
    }
}

/// The requests of the script take turns; each thread begins elsewhere among them.
pub(super) fn in_turn(requests: &[String]) -> String {
    let list = requests.join(",\n  ");
    format!(
        "local all, n\ninit = function() all = {{\n  {list}\n}}; n = math.floor(#all * thread / of) end\n\
         request = function() n = n + 1; return all[n % #all + 1] end\n"
    )
}

/// A request in Lua. None of these texts may hold a quote of its own kind.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("['{name}']='{value}',")).collect();
    let body = body.map_or("nil".into(), |body| format!("'{body}'"));
    format!("wrk.format('{method}', '{path}', {{{headers}}}, {body})")
}

pub(super) async fn run(tools: &Tools, job: &Job, seconds: u32) -> Result<Told> {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    let http = goods::client()?;
    let sample = async || {
        let get = http.get(format!("{}{}", job.base, job.path));
        match &job.tag {
            Some(tag) => known(get.header("if-none-match", tag)).await,
            None => asked(get, 200).await.map(|body| body.len() as u64),
        }
    };
    let plain = job.status.is_none();
    let before = if plain { sample().await? } else { 0 };
    let script = tools.folder.join("load.lua");
    // One thread alone is busy all the time at some 100,000 answers a second, and is then what is measured.
    let threads = threads(tools.cores, tools.connections as usize);
    fs::write(&script, job.lua(TURNS.fetch_add(1, Ordering::Relaxed), threads)).context("cannot write a script")?;
    let mut command = tools.wrk.command();
    command.args([format!("-t{threads}"), format!("-c{}", tools.connections), format!("-d{seconds}s")]);
    command.args(["--timeout", "10s", "-s"]).arg(&script).arg(format!("{}{}", job.base, job.path));
    let summary = summary(&printed(command, "wrk").await?)?;
    if plain {
        let after = sample().await?;
        let head = if job.tag.is_some() { 0 } else { HEAD };
        alike(&summary, before.min(after), before.max(after), head)?;
    }
    let ms = |microseconds: f64| microseconds / 1e3;
    let Summary { requests, duration, errors, p50, p90, p99, p999, .. } = summary;
    let (p50, p90, p99, p999) = (ms(p50), ms(p90), ms(p99), ms(p999));
    Ok(Told { requests, served: requests, seconds: duration / 1e6, errors, p50, p90, p99, p999 })
}

/// How long an answer is that is nothing but a head.
async fn known(request: RequestBuilder) -> Result<u64> {
    let answer = request.send().await.context("no answer")?;
    if answer.status() != StatusCode::NOT_MODIFIED {
        return Err(format!("{} answered {} instead of 304", answer.url(), answer.status()).into());
    }
    let line = "HTTP/1.1 304 Not Modified\r\n\r\n".len();
    let headers = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    Ok((line + headers.sum::<usize>()) as u64)
}

/// At most one a core, each with as many of the connections.
fn threads(cores: usize, connections: usize) -> usize {
    (1..=cores.min(connections)).rev().find(|threads| connections.is_multiple_of(*threads)).unwrap_or(1)
}

fn summary(printed: &str) -> Result<Summary> {
    let line = printed.lines().find_map(|line| line.strip_prefix("TOLD "));
    serde_json::from_str(line.context(format_args!("wrk told nothing: {printed}"))?).context("wrk tells otherwise")
}

/// Whether what came is what was looked at, as far as lengths tell.
fn alike(summary: &Summary, least: u64, most: u64, head: u64) -> Result<()> {
    let each = summary.bytes / summary.requests.max(1);
    if each >= least / 10 * 9 && each <= most / 10 * 11 + head {
        return Ok(());
    }
    Err(format!("{each} bytes an answer, where one looked at had {least} to {most}: not reported").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: u64, errors: u64) -> Summary {
        let line = format!(
            "x\nTOLD {{\"requests\":9,\"duration\":1,\"bytes\":{bytes},\"errors\":{errors},\"p50\":1,\"p90\":1,\"p99\":1,\"p999\":1}}\n"
        );
        summary(&line).unwrap()
    }

    #[test]
    fn what_wrk_tells_is_read() {
        let read = told(90, 3);
        assert_eq!((read.requests, read.errors), (9, 3));
        assert!(summary("nothing").is_err());
    }

    #[test]
    fn threads_share_the_connections_evenly() {
        assert_eq!((threads(2, 16), threads(12, 16), threads(6, 16), threads(64, 16), threads(2, 3)), (2, 8, 4, 16, 1));
    }

    #[test]
    fn answers_of_another_length_are_refused() {
        assert!(alike(&told(9 * 10_000, 0), 9_800, 9_800, HEAD).is_ok());
        assert!(alike(&told(9 * 300, 0), 9_800, 9_800, HEAD).is_err(), "such as redirections");
        assert!(alike(&told(9 * 20_000, 0), 9_800, 9_800, HEAD).is_err());
        assert!(alike(&told(9 * 300, 0), 300, 300, 0).is_ok(), "not modified");
        assert!(alike(&told(9 * 300 + 9_800 * 9 / 100, 0), 300, 300, 0).is_err(), "one in a hundred is whole");
    }

    #[test]
    fn statuses_are_counted_where_one_is_expected() {
        let job = Job::checked("", "/", "x = TURN".into(), 201);
        let lua = job.lua(7, 2);
        assert!(lua.contains("x = 7") && lua.contains("status ~= 201"));
        assert!(!Job::read("", "/", String::new()).lua(7, 2).contains("response ="));
    }
}
