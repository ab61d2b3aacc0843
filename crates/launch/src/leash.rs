//! A process that does not outlive us.
//!
//! A shell stands between: it reads its input, whose other end we hold. When that closes, because we let go or because
//! we are dead, the shell ends the process. Each has a process group of its own: a Ctrl-C at the terminal reaches us,
//! who then stop things in order.
use crate::{Failed, Result, error::Context};
use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The shell gives its own standard output and error away: their end is the process's end. A frozen process would hear
/// of no end, so it is thawed.
const SCRIPT: &str = "\"$@\" </dev/null & it=$!; echo \"pid $it\"; exec >/dev/null 2>&1; \
                      cat; kill $it; kill -CONT $it; wait $it";

/// How long anybody may take to end when asked: more than the server gives its running requests.
const GRACE: Duration = Duration::from_secs(35);
const WORDS: Duration = Duration::from_secs(1);

/// What becomes of a line of a process's standard error.
#[derive(Clone, Default)]
pub enum Errors {
    /// It goes where our own goes.
    #[default]
    Inherited,
    /// Given the process's name and the line.
    Told(Arc<dyn Fn(&str, &str) + Send + Sync>),
}
impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherited => "Inherited",
            Self::Told(_) => "Told",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// What the process had not given away is lost.
    Kill,
    /// It ends what it is doing, then itself.
    Stop,
    /// It stands still, and holds what it holds.
    Freeze,
    Thaw,
}
impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Stop => "-TERM",
            Self::Freeze => "-STOP",
            Self::Thaw => "-CONT",
        }
    }
}

pub(crate) struct Leashed {
    name: String,
    shell: Child,
    leash: Option<ChildStdin>,
    pid: u32,
    /// Read by whoever starts it only; the lock lets a running shop be shared.
    printed: Mutex<Receiver<String>>,
    /// The server may speak before the shell has told its id.
    heard: Vec<String>,
    readers: Vec<JoinHandle<()>>,
}

impl Leashed {
    pub(crate) fn start(name: &str, command: &Command, errors: &Errors) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        command.get_current_dir().map(|dir| shell.current_dir(dir));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        if matches!(errors, Errors::Told(_)) {
            shell.stderr(Stdio::piped());
        }
        let mut shell = shell.spawn().context(format_args!("{name}: cannot start a shell"))?;
        let (sender, printed) = channel();
        let stdout = shell.stdout.take().expect("piped");
        // Whatever it prints must be read, or it would wait for us.
        let mut readers = vec![lines(stdout, move |line| drop(sender.send(line.to_owned())))];
        if let (Errors::Told(tell), Some(stderr)) = (errors, shell.stderr.take()) {
            let (tell, name) = (Arc::clone(tell), name.to_owned());
            readers.push(lines(stderr, move |line| tell(&name, line)));
        }
        let leash = shell.stdin.take();
        let mut started = Self {
            name: name.to_owned(),
            shell,
            leash,
            pid: 0,
            printed: Mutex::new(printed),
            heard: Vec::new(),
            readers,
        };
        let [pid] = started.says(["pid "], Duration::from_secs(10))?;
        started.pid = pid.parse().context(format_args!("{name}: no process id"))?;
        Ok(started)
    }

    /// Waits until it has printed a line for each of these beginnings, in any order; what stood behind them.
    pub(crate) fn says<const N: usize>(&mut self, beginnings: [&str; N], patience: Duration) -> Result<[String; N]> {
        let asked = Instant::now();
        loop {
            let heard = |beginning: &str| self.heard.iter().find_map(|line| line.strip_prefix(beginning));
            let found = beginnings.map(heard);
            let Some(missing) = found.iter().position(Option::is_none) else {
                return Ok(found.map(|rest| rest.unwrap_or_default().trim().to_owned()));
            };
            let left = patience.saturating_sub(asked.elapsed());
            let line =
                self.printed.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(left).map_err(|why| {
                    let how = match why {
                        RecvTimeoutError::Timeout => format!("did not say `{}` in time", beginnings[missing]),
                        RecvTimeoutError::Disconnected => format!("ended before it said `{}`", beginnings[missing]),
                    };
                    Failed(format!("{} {how}", self.name))
                })?;
            self.heard.push(line);
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.readers.first().is_none_or(JoinHandle::is_finished)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let sent = Command::new("kill").args([signal.name(), &self.pid.to_string()]).output();
        let sent = sent.context("cannot run kill")?;
        if sent.status.success() { Ok(()) } else { Err(Failed(format!("{} runs no more", self.name))) }
    }

    /// How it ended, of one that has: the number of the signal, unless it ended itself.
    pub(crate) fn died_of(mut self) -> Option<i32> {
        drop(self.leash.take());
        // A shell tells a signal as 128 and its number; its own end is awaited here, and is near.
        let code = self.shell.wait().ok()?.code()?;
        (code > 128).then_some(code - 128)
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(self) -> Result<()> {
        self.signal(Signal::Kill)
    }
}

/// SIGTERM, and its end; whoever does not end is killed.
impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.leash.take());
        let asked = Instant::now();
        let mut grace = Some(GRACE);
        while matches!(self.shell.try_wait(), Ok(None)) {
            if grace.is_some_and(|grace| asked.elapsed() > grace) {
                grace = None;
                eprintln!("{} did not end within {} seconds; killing it", self.name, GRACE.as_secs());
                let _ = self.signal(Signal::Kill); // it may have ended just now
            }
            thread::sleep(Duration::from_millis(5));
        }
        // Its last words are heard, unless somebody whom it started goes on talking.
        let ended = Instant::now();
        while ended.elapsed() < WORDS && !self.readers.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn lines(from: impl Read + Send + 'static, mut each: impl FnMut(&str) + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            each(String::from_utf8_lossy(&line).trim_end_matches('\n'));
            line.clear();
        }
    })
}
