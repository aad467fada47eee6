//! One scan by connections on two processors: a connection costs what the kernel does for it, on the processor that asks.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Connect, Settings, Task, Verdict, scan};

/// How often it is looked after the other one while only that still works.
const LOOK: Duration = Duration::from_millis(5);

/// Tasks that two draw from.
struct Shared<'a, 'b>(&'a Mutex<&'b mut (dyn Iterator<Item = Task> + Send)>);

impl Iterator for Shared<'_, '_> {
    type Item = Task;

    fn next(&mut self) -> Option<Task> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// As [`scan`], with half of the requests at once through each. For tasks that need no pauses between them, without a rate.
/// `stop` and `report` are called on this thread.
///
/// # Errors
/// When nothing can be waited for at all.
pub fn scan_by_two(
    [mut one, mut other]: [Connect; 2],
    tasks: &mut (dyn Iterator<Item = Task> + Send),
    settings: &Settings,
    stop: &mut dyn FnMut() -> bool,
    report: &mut dyn FnMut(Task, Verdict),
) -> io::Result<()> {
    let half = &Settings { parallel: settings.parallel.div_ceil(2), ..settings.clone() };
    let (shared, is_over) = (&Mutex::new(tasks), &AtomicBool::new(false));
    let told: &Mutex<Vec<(Task, Verdict)>> = &Mutex::default();
    thread::scope(|scope| {
        let work = move || {
            let mut report = |task: Task, verdict: Verdict| {
                told.lock().unwrap_or_else(PoisonError::into_inner).push((task, verdict));
            };
            let mut stop = || is_over.load(Ordering::Relaxed);
            scan(&mut other, &mut Shared(shared), half, &mut stop, &mut report)
        };
        let helper = thread::Builder::new().spawn_scoped(scope, work)?;
        let report = RefCell::new(report);
        let say = |task: Task, verdict: Verdict| (report.borrow_mut())(task, verdict);
        let mut stop = || {
            let heard = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
            heard.into_iter().for_each(|(task, verdict)| say(task, verdict));
            let is_enough = stop();
            if is_enough {
                is_over.store(true, Ordering::Relaxed);
            }
            is_enough
        };
        let mut result = scan(&mut one, &mut Shared(shared), half, &mut stop, &mut |task, verdict| say(task, verdict));
        if result.is_err() {
            is_over.store(true, Ordering::Relaxed);
        }
        while !helper.is_finished() {
            stop();
            thread::sleep(LOOK);
        }
        // What it said last.
        stop();
        if let Ok(Err(error)) = helper.join() {
            result = result.and(Err(error));
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, State};
    use super::*;
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    fn ask(
        tasks: &mut (dyn Iterator<Item = SocketAddr> + Send),
        stop: &mut dyn FnMut() -> bool,
    ) -> BTreeMap<SocketAddr, State> {
        let mut tasks = tasks.map(|to| Task { to, kind: Kind::Connect });
        let mut found = BTreeMap::new();
        let media = [(); 2].map(|()| Connect::new(None, None).unwrap());
        let settings = Settings { parallel: 30, ..Settings::default() };
        scan_by_two(media, &mut tasks, &settings, stop, &mut |task, verdict| {
            assert_eq!(found.insert(task.to, verdict.state), None, "{}", task.to);
        })
        .unwrap();
        found
    }

    #[test]
    fn every_task_is_answered_once() {
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        let open = listener.local_addr().unwrap();
        let ports = (1..800).chain([open.port()]);
        let all: Vec<SocketAddr> = ports.map(|port| SocketAddr::new(open.ip(), port)).collect();
        let found = ask(&mut all.iter().copied(), &mut || false);
        assert_eq!(found.keys().copied().collect::<Vec<SocketAddr>>(), all);
        assert_eq!(found[&open], State::Open);
    }

    #[test]
    fn both_stop() {
        // More than there is time for.
        let mut hosts = (1u32..0x00ff_ffff).map(|host| SocketAddr::new(Ipv4Addr::from(0x7f00_0000 | host).into(), 9));
        ask(&mut hosts, &mut || true);
    }
}
