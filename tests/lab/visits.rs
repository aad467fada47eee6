//! Who is with a server of the lab: it may be asked what it saw once everybody who came has been served to the end.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longer than a server waits for a client that says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the door.
const TICK: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Count {
    /// Connections that are being served.
    open: usize,
    /// How often nobody stood at the door.
    rounds: u64,
}

/// The connections of one listener.
#[derive(Debug, Clone, Default)]
pub struct Visits(Arc<(Mutex<Count>, Condvar)>);

/// Leaves when it is dropped, also when a server's thread dies.
struct Visit(Visits);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.change(|count| count.open -= 1);
    }
}

impl Visits {
    fn change(&self, change: impl FnOnce(&mut Count)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    /// Serves each connection in a thread of its own until `stop` is set; the listener must not block.
    pub fn serve(&self, listener: &TcpListener, stop: &AtomicBool, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
        let serve = Arc::new(serve);
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    self.change(|count| count.open += 1);
                    let (visit, serve) = (Visit(self.clone()), Arc::clone(&serve));
                    std::thread::spawn(move || {
                        serve(stream);
                        drop(visit);
                    });
                }
                Err(_) => {
                    self.change(|count| count.rounds += 1);
                    std::thread::sleep(TICK);
                }
            }
        }
    }

    /// Waits until every connection that has reached the listener by now was accepted and has come to its end. The clients
    /// must be gone, or it takes as long as the server's patience with them.
    pub fn end(&self) {
        let now = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The look that is under way may have begun before this moment; the one after it has not.
        let wanted = now.rounds + 2;
        let _ = self.0.1.wait_timeout_while(now, PATIENCE, |now| now.rounds < wanted || now.open > 0);
    }
}
