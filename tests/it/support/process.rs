//! The program as a process of its own.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU16, Ordering},
};

use super::eventually;

pub type Environment = BTreeMap<String, String>;

/// A running `tca`; killed when dropped. What it says goes into a file.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `tca` in `folder` with nothing but `env`. `name` tells its log from those of others in the folder.
    pub fn start(name: &str, arguments: &[&str], env: &Environment, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tca"))
            .args(arguments)
            .env_clear()
            .envs(env)
            .current_dir(folder)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .expect("tca starts");
        Self { child, log }
    }

    /// Runs `tca` to its end; the exit code and everything it said.
    pub async fn run(name: &str, arguments: &[&str], env: &Environment, folder: &Path) -> (i32, String) {
        let mut process = Self::start(name, arguments, env, folder);
        let code = process.exit_code().await;
        (code, process.log())
    }

    /// Waits for the end of the process.
    pub async fn exit_code(&mut self) -> i32 {
        let mut status: Option<ExitStatus> = None;
        eventually("the process ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code().unwrap_or(-1)
    }

    /// Asks the process to stop.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // Fails for a process that has ended, which is as good.
        let _ = self.child.kill();
        self.child.wait().expect("the process ends");
    }

    /// Everything the process has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let complaints = log.lines().filter(|line| !line.contains("\"INFO\"") && !line.contains("\"DEBUG\""));
            let complaints: Vec<&str> = complaints.take(20).collect();
            eprintln!("--- {} complains:\n{}", self.log.display(), complaints.join("\n"));
        }
    }
}

/// A port on which nobody listens, outside the ranges that the system and `tests/with-servers` draw from.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
