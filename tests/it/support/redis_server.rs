//! A Redis of a test's own, to be emptied, frozen and killed.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
};

use secrecy::SecretString;

use super::{eventually, with_own_prefix};

/// A private `redis-server` on a free port; killed when dropped.
pub struct RedisServer {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// A running server.
    pub async fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|taken| taken.local_addr()).expect("a port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { port: port.port(), folder, process: None };
        server.restart().await;
        server
    }

    /// A URL with a prefix of its own on every call.
    pub fn url(&self) -> SecretString {
        with_own_prefix(&format!("redis://127.0.0.1:{}", self.port))
    }

    /// Starts the server, empty, on the same port.
    pub async fn restart(&mut self) {
        self.kill();
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; `tests/with-servers` does it");
        self.process = Some(process);
        let port = self.port;
        eventually("redis-server listens", async || {
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("redis-server can be killed");
            process.wait().expect("redis-server ends");
        }
    }

    /// Stops the process without closing its connections: it accepts, and never answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("the server runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// One command, as `redis-cli` takes it.
    pub fn command(&self, words: &[&str]) {
        let port = self.port.to_string();
        let answer = Command::new("redis-cli").args(["-p", &port]).args(words).output().expect("redis-cli runs");
        assert!(answer.status.success() && !answer.stdout.starts_with(b"ERR"), "{words:?}: {answer:?}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
