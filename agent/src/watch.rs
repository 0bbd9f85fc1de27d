//! Noticing the death of processes at once, without looking for it: one pidfd each (pidfd_open(2)).

use diogenes_linux::pidfd::PidFd;
use tokio::task::{AbortHandle, JoinSet};

/// How many processes are watched at most; beyond that a death shows at the next scan.
pub(crate) const MAX_WATCHED: usize = 128;

/// The processes under watch.
#[derive(Default)]
pub(crate) struct Watch {
    tasks: JoinSet<u32>,
    /// By pid; few enough to be looked through.
    watched: Vec<(u32, AbortHandle)>,
}

impl Watch {
    /// Watches exactly these processes from now on.
    pub(crate) fn only(&mut self, pids: impl IntoIterator<Item = u32>) {
        let mut before = std::mem::take(&mut self.watched);
        for pid in pids {
            if self.watched.len() == MAX_WATCHED {
                break;
            }
            let known = before.iter().position(|(known, _)| *known == pid);
            let handle = known
                .map(|at| before.swap_remove(at).1)
                .or_else(|| self.begin(pid));
            self.watched.extend(handle.map(|handle| (pid, handle)));
        }
        before.into_iter().for_each(|(_, handle)| handle.abort());
    }

    /// Waits for the next death among them; for ever where there are none.
    pub(crate) async fn died(&mut self) -> u32 {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(pid)) => {
                    self.watched.retain(|(watched, _)| *watched != pid);
                    return pid;
                }
                // One that is no longer watched.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// None where the process is gone already or no descriptor is left: the next scan sees to it.
    fn begin(&mut self, pid: u32) -> Option<AbortHandle> {
        let process = PidFd::open(pid).ok()?;
        Some(self.tasks.spawn(async move {
            process.exited().await;
            pid
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn tells_a_death_and_forgets_who_is_not_asked_for() {
        let mut children = [0, 1].map(|_| Command::new("sleep").arg("60").spawn().unwrap());
        let [first, second] = [children[0].id(), children[1].id()];
        let mut watch = Watch::default();
        watch.only([first, second]);
        watch.only([second]);
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(watch.died().await, second);
        watch.only([first]);
        assert!(watch.watched.is_empty(), "a dead process cannot be watched");
    }
}
