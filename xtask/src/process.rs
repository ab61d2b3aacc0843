//! Child processes that do not outlive the command that started them.
//!
//! Each runs in a process group of its own: what it starts in turn is stopped with it, and a Ctrl-C at the terminal
//! reaches only us, who then stop things in order.
use crate::error::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    io::Write,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

/// How long anybody may take to stop when asked.
const GRACE: Duration = Duration::from_secs(15);
/// How long output may keep flowing after the process that was started has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// A child and whatever it started; stopped when dropped.
pub(crate) struct Group {
    child: Child,
    leader: Pid,
}

impl Group {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .context(format_args!("cannot start `{name}`; is it installed and on PATH?"))?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, leader: leader.expect("a child that was not waited for has an id") })
    }

    pub(crate) fn id(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for a child process")
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether the group was stopped by SIGTERM; otherwise it took SIGKILL.
    pub(crate) fn stop(&mut self) -> bool {
        if self.ended().is_some() {
            return true;
        }
        // Errors mean that nobody is left in the group.
        let _ = kill_process_group(self.leader, Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if self.ended().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(self.leader, Signal::KILL);
        let _ = self.child.try_wait();
        false
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) stdout: String,
}

/// Runs to the end, passing output on as it comes and keeping standard output.
pub(crate) async fn run(mut command: Command, limit: Duration) -> Result<Ended> {
    command.stdout(Stdio::piped());
    let mut group = Group::start(command)?;
    let stdout = group.take_stdout().expect("standard output was asked for");
    let mut tee: JoinHandle<String> = tokio::spawn(tee(stdout));
    let Ok(status) = timeout(limit, group.wait()).await else {
        group.stop();
        return Err(format!("did not end within {} seconds and was stopped", limit.as_secs()).into());
    };
    let success = status?.success();
    match timeout(DRAIN, &mut tee).await {
        Ok(stdout) => Ok(Ended { success, stdout: stdout.context("cannot read the output")? }),
        Err(_) => {
            tee.abort();
            // The leader is gone, its group may not be.
            let _ = kill_process_group(group.leader, Signal::KILL);
            Err("left a process behind that holds its output open; it was killed".into())
        }
    }
}

async fn tee(from: ChildStdout) -> String {
    let (mut lines, mut kept) = (BufReader::new(from), String::new());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        // Our own standard output being closed is no reason to stop a run.
        let _ = std::io::stdout().write_all(&line);
        kept.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn keeps_what_was_printed() {
        let ended = run(shell("echo one; echo two; exit 3"), GRACE).await.unwrap();
        assert_eq!((ended.success, ended.stdout.as_str()), (false, "one\ntwo\n"));
    }

    #[tokio::test]
    async fn says_when_a_limit_has_passed() {
        let error = run(shell("sleep 60"), Duration::from_millis(50)).await.err().unwrap();
        assert!(error.to_string().contains("did not end within"), "{error}");
    }

    #[tokio::test]
    async fn what_is_left_behind_is_killed_and_told() {
        let error = run(shell("sleep 60 & exit 0"), GRACE).await.err().unwrap();
        assert!(error.to_string().contains("left a process behind"), "{error}");
    }
}
