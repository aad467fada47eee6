//! Children of the shell: which there are, how they ended, and whose turn the terminal is.

use std::rc::Rc;

use netkit_sys::process::{self, Change};
use nix::libc;

use crate::ast::Bytes;
use crate::shell::{Shell, Unwind};
use crate::signals;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: usize,
    /// The process group under job control, otherwise the first child.
    pub(crate) group: i32,
    pub(crate) members: Vec<(i32, Option<Change>)>,
    pub(crate) text: Rc<str>,
    /// The last change was told to the user, or needs no telling.
    told: bool,
    pub(crate) stopped: bool,
    controlled: bool,
}

impl Job {
    fn is_done(&self) -> bool {
        self.members.iter().all(|(_, change)| matches!(change, Some(Change::Exited(_) | Change::Killed { .. })))
    }

    /// Its members run again, or are about to.
    pub(crate) fn resume(&mut self) {
        self.stopped = false;
        for (_, change) in &mut self.members {
            if matches!(change, Some(Change::Stopped(_))) {
                *change = None;
            }
        }
    }

    /// The status of its last member, with `pipefail` of the last one that failed.
    fn status(&self, pipefail: bool) -> u8 {
        let mut statuses = self.members.iter().filter_map(|(_, change)| change.map(status_of));
        if self.stopped {
            return self
                .members
                .iter()
                .find_map(|(_, change)| change.filter(|c| matches!(c, Change::Stopped(_))).map(status_of))
                .unwrap_or(0);
        }
        if pipefail {
            statuses.rev().find(|status| *status != 0).unwrap_or(0)
        } else {
            statuses.next_back().unwrap_or(0)
        }
    }

    fn state(&self) -> String {
        if self.stopped {
            return "Stopped".to_owned();
        }
        if !self.is_done() {
            return "Running".to_owned();
        }
        match self.members.last().and_then(|(_, change)| *change) {
            Some(Change::Exited(0)) | None => "Done".to_owned(),
            Some(Change::Exited(status)) => format!("Done({status})"),
            Some(Change::Killed { signal, core }) => killed_text(signal, core),
            Some(_) => "Running".to_owned(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) list: Vec<Job>,
    /// Children that ended and whose job is no longer kept, for `wait PID`.
    ended: Vec<(i32, u8)>,
}

/// A child's status as `$?` has it (2.8.2).
pub(crate) fn status_of(change: Change) -> u8 {
    match change {
        Change::Exited(status) => status,
        Change::Killed { signal, .. } | Change::Stopped(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        Change::Continued => 0,
    }
}

/// Says what ended a child, unless it is what the user did or what a reader's end does.
fn tell_killed(change: Change) {
    if let Change::Killed { signal, core } = change
        && signal != libc::SIGINT
        && signal != libc::SIGPIPE
    {
        let _ = process::write_all(2, format!("{}\n", killed_text(signal, core)).as_bytes());
    }
}

fn killed_text(signal: i32, core: bool) -> String {
    format!("{}{}", signals::description(signal), if core { " (core dumped)" } else { "" })
}

impl Jobs {
    fn note(&mut self, pid: i32, change: Change) {
        for job in &mut self.list {
            let Some(member) = job.members.iter_mut().find(|(own, _)| *own == pid) else { continue };
            match change {
                Change::Continued => {
                    member.1 = None;
                    job.stopped = false;
                }
                Change::Stopped(_) => {
                    member.1 = Some(change);
                    job.stopped = true;
                    job.told = false;
                }
                _ => {
                    member.1 = Some(change);
                    job.told = false;
                    if job.members.iter().all(|(_, change)| !matches!(change, Some(Change::Stopped(_)))) {
                        job.stopped = false;
                    }
                }
            }
            return;
        }
        // A child that was handed to process 1 when its parent died: reaping it is all there is to do.
    }

    fn find(&self, pid: i32) -> Option<&Job> {
        self.list.iter().find(|job| job.members.iter().any(|(own, _)| *own == pid))
    }

    /// The job that `%1`, `%%`, `%+`, `%-`, `%text` or `%?text` names.
    pub(crate) fn named(&self, name: &[u8]) -> Option<usize> {
        let rest = name.strip_prefix(b"%")?;
        match rest {
            b"" | b"%" | b"+" => self.list.len().checked_sub(1),
            b"-" => self.list.len().checked_sub(2).or_else(|| self.list.len().checked_sub(1)),
            _ => {
                if let Some(number) = std::str::from_utf8(rest).ok().and_then(|text| text.parse::<usize>().ok()) {
                    return self.list.iter().position(|job| job.number == number);
                }
                let (inside, text) = rest.strip_prefix(b"?").map_or((false, rest), |text| (true, text));
                let text = String::from_utf8_lossy(text).into_owned();
                self.list
                    .iter()
                    .position(|job| if inside { job.text.contains(&text) } else { job.text.starts_with(&text) })
            }
        }
    }

    fn next_number(&self) -> usize {
        self.list.iter().map(|job| job.number).max().unwrap_or(0) + 1
    }
}

impl Shell {
    /// Keeps children as a job and returns its number.
    pub(crate) fn add_job(&mut self, members: Vec<i32>, text: Rc<str>, controlled: bool) -> usize {
        let number = self.jobs.next_number();
        let group = members.first().copied().unwrap_or(0);
        let members = members.into_iter().map(|pid| (pid, None)).collect();
        self.jobs.list.push(Job { number, group, members, text, told: true, stopped: false, controlled });
        number
    }

    /// Takes in every change there is without waiting.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, change))) = process::wait(-1, false, self.options.monitor) {
            self.jobs.note(pid, change);
        }
    }

    /// Waits until the job `number` has ended or stopped, and returns its status.
    pub(crate) fn wait_for(&mut self, number: usize) -> u8 {
        loop {
            let Some(job) = self.jobs.list.iter().find(|job| job.number == number) else { return 127 };
            if job.is_done() || job.stopped {
                break;
            }
            self.pass_interrupt(number);
            match process::wait(-1, true, self.options.monitor) {
                Ok(Some((pid, change))) => self.jobs.note(pid, change),
                Ok(None) => {}
                // A trap waits until the command has ended (2.11).
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(_) => break,
            }
        }
        let Some(at) = self.jobs.list.iter().position(|job| job.number == number) else { return 127 };
        let Some(job) = self.jobs.list.get_mut(at) else { return 127 };
        let status = job.status(self.options.pipefail);
        let signal = job.members.last().and_then(|(_, change)| match change {
            Some(Change::Killed { signal, core }) => Some((*signal, *core)),
            _ => None,
        });
        if job.stopped {
            job.told = true;
            let line = format!("\n[{}] + Stopped                    {}\n", job.number, job.text);
            let _ = process::write_all(2, line.as_bytes());
        } else {
            self.jobs.list.remove(at);
            match signal {
                Some((libc::SIGINT, _)) if self.options.interactive && !self.subshell => {
                    let _ = process::write_all(2, b"\n");
                    // Ctrl-C ends what the user typed, not only the part of it that ran (dash and bash do so).
                    self.arrived.push(libc::SIGINT);
                }
                Some((signal, core)) => tell_killed(Change::Killed { signal, core }),
                None => {}
            }
        }
        status
    }

    /// Ctrl-C that came while the terminal was still the shell's own is meant for the job that it is about to wait for.
    fn pass_interrupt(&mut self, number: usize) {
        if !self.options.interactive || self.subshell || self.traps.contains_key(&libc::SIGINT) {
            return;
        }
        self.pending_trap();
        let Some(at) = self.arrived.iter().position(|signal| *signal == libc::SIGINT) else { return };
        let Some(job) = self.jobs.list.iter().find(|job| job.number == number && job.controlled) else { return };
        if process::kill(-job.group, libc::SIGINT).is_ok() {
            self.arrived.remove(at);
        }
    }

    /// Runs a job in the foreground of the terminal until it ends or stops.
    pub(crate) fn foreground(&mut self, number: usize, resume: bool) -> u8 {
        let Some(job) = self.jobs.list.iter_mut().find(|job| job.number == number) else { return 127 };
        let (group, controlled) = (job.group, job.controlled);
        if let Some(terminal) = self.terminal.filter(|_| controlled) {
            let _ = process::set_foreground(terminal, group);
        }
        if resume {
            job.resume();
            let _ = process::kill(if controlled { -group } else { group }, libc::SIGCONT);
        }
        let status = self.wait_for(number);
        if let Some(terminal) = self.terminal.filter(|_| controlled) {
            let _ = process::set_foreground(terminal, process::group());
        }
        status
    }

    /// Says which background jobs ended or stopped since the last prompt.
    pub(crate) fn tell_jobs(&mut self) {
        self.reap();
        let mut lines = String::new();
        let count = self.jobs.list.len();
        for (index, job) in self.jobs.list.iter_mut().enumerate() {
            if !job.told && (job.is_done() || job.stopped) {
                lines.push_str(&line(job, index, count));
                job.told = true;
            }
        }
        self.forget_done();
        let _ = process::write_all(2, lines.as_bytes());
    }

    /// Drops jobs that have ended; their statuses stay for `wait`.
    fn forget_done(&mut self) {
        let ended: Vec<(i32, u8)> = self
            .jobs
            .list
            .iter()
            .filter(|job| job.is_done())
            .flat_map(|job| job.members.iter().filter_map(|(pid, change)| Some((*pid, status_of((*change)?)))))
            .collect();
        self.jobs.list.retain(|job| !job.is_done());
        self.jobs.ended.extend(ended);
        // CHILD_MAX of a shell without limits; the oldest are forgotten first.
        let excess = self.jobs.ended.len().saturating_sub(1024);
        self.jobs.ended.drain(..excess);
    }

    pub(crate) fn job_lines(&mut self, pids: bool, long: bool) -> Bytes {
        self.reap();
        let count = self.jobs.list.len();
        let mut out = String::new();
        for (index, job) in self.jobs.list.iter_mut().enumerate() {
            job.told = true;
            if pids {
                out.push_str(&format!("{}\n", job.group));
            } else if long {
                let mark = mark(index, count);
                out.push_str(&format!("[{}] {mark} {} {:<22} {}\n", job.number, job.group, job.state(), job.text));
            } else {
                out.push_str(&line(job, index, count));
            }
        }
        self.forget_done();
        out.into_bytes()
    }

    /// `wait` for one child or job. `None` when a trapped signal came first.
    pub(crate) fn wait_child(&mut self, pid: i32) -> Result<u8, Unwind> {
        loop {
            let Some(job) = self.jobs.find(pid) else {
                let at = self.jobs.ended.iter().position(|(own, _)| *own == pid);
                return Ok(at.map_or(127, |at| self.jobs.ended.remove(at).1));
            };
            let change = job.members.iter().find(|(own, _)| *own == pid).and_then(|(_, change)| *change);
            if let Some(change) = change.filter(|change| !matches!(change, Change::Continued)) {
                let done = job.is_done();
                let number = job.number;
                tell_killed(change);
                if done {
                    self.jobs.list.retain(|job| job.number != number);
                }
                return Ok(status_of(change));
            }
            if let Some(status) = self.wait_once() {
                return Ok(status);
            }
        }
    }

    /// `wait` without operands.
    pub(crate) fn wait_all(&mut self) -> u8 {
        while self.jobs.list.iter().any(|job| !job.is_done() && !job.stopped) {
            if let Some(status) = self.wait_once() {
                return status;
            }
        }
        self.jobs.list.retain(|job| !job.is_done());
        self.jobs.ended.clear();
        0
    }

    /// Waits for one change; a status when a signal ended the waiting.
    fn wait_once(&mut self) -> Option<u8> {
        if let Some(signal) = self.pending_trap() {
            return Some(u8::try_from(128 + signal).unwrap_or(u8::MAX));
        }
        match process::wait(-1, true, self.options.monitor) {
            Ok(Some((pid, change))) => self.jobs.note(pid, change),
            Ok(None) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {
                let signal = self.pending_trap()?;
                return Some(u8::try_from(128 + signal).unwrap_or(u8::MAX));
            }
            // No children are left: whatever is not done was somebody else's.
            Err(_) => {
                for job in &mut self.jobs.list {
                    for (_, change) in &mut job.members {
                        change.get_or_insert(Change::Exited(127));
                    }
                }
            }
        }
        None
    }
}

fn mark(index: usize, count: usize) -> char {
    match count - index {
        1 => '+',
        2 => '-',
        _ => ' ',
    }
}

fn line(job: &Job, index: usize, count: usize) -> String {
    format!("[{}] {} {:<26} {}\n", job.number, mark(index, count), job.state(), job.text)
}
