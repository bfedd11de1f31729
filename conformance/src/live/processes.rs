//! The processes of a cluster: started, struck by signals, and killed at the end whatever happens.

use super::{Live, LiveError};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A controlled shutdown that takes longer is none.
const SHUTDOWN: Duration = Duration::from_secs(40);
/// As a shell reports a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// All that run, for the handler of Ctrl-C.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// What they write to, likewise.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn with_running<T>(act: impl FnOnce(&mut Vec<u32>) -> T) -> T {
    act(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

fn signal(process: u32, signal: Signal) -> Live<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| LiveError::Cluster(format!("no process {process}")))?;
    kill_process(pid, signal).map_err(|error| LiveError::Io(error.into()))
}

/// Let Ctrl-C, a termination and a lost terminal kill every process of the cluster, then this one.
///
/// # Errors
/// Where the handler cannot be installed.
pub fn kill_all_when_interrupted() -> Result<(), ExitCode> {
    let installed = ctrlc::set_handler(|| {
        for process in with_running(std::mem::take) {
            // It may have ended by itself.
            let _ = signal(process, Signal::KILL);
        }
        for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A cluster that ended before has removed its own.
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(INTERRUPTED);
    });
    installed.map_err(|error| {
        eprintln!("Ctrl-C cannot be handled: {error}");
        ExitCode::FAILURE
    })
}

/// Let an interruption remove this folder too.
pub fn remove_when_interrupted(folder: &Path) {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
}

/// One process, which does not outlive this value.
pub struct Node {
    child: Child,
}

impl Node {
    /// Start a program that writes what it says to a file.
    pub fn start(command: &mut Command, log: &Path) -> Live<Node> {
        let log = File::create(log)?;
        let errors = log.try_clone()?;
        // The lock is held until the process is known, so that no interruption comes between.
        with_running(|running| {
            let child = command
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(errors)
                .spawn()
                .map_err(|error| LiveError::Cluster(format!("java could not be run: {error}")))?;
            running.push(child.id());
            Ok(Node { child })
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Live<()> {
        if self.has_ended() {
            return Ok(());
        }
        self.child.kill()?;
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Live<()> {
        self.child.wait()?;
        let id = self.child.id();
        with_running(|running| running.retain(|process| *process != id));
        Ok(())
    }

    /// SIGTERM, and wait until it has ended: a controlled shutdown.
    pub fn stop(&mut self) -> Live<()> {
        signal(self.child.id(), Signal::TERM)?;
        let end = Instant::now() + SHUTDOWN;
        while Instant::now() < end {
            if self.has_ended() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(LiveError::Cluster("a broker did not shut down".to_owned()))
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> Live<()> {
        signal(self.child.id(), Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Live<()> {
        signal(self.child.id(), Signal::CONT)
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(None) => false,
            _ => {
                let id = self.child.id();
                with_running(|running| running.retain(|process| *process != id));
                true
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing is left to be done where even this fails.
        let _ = self.kill();
    }
}
