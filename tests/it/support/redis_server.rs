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
    /// The port of the server it watches, if it is a sentinel.
    watched: Option<u16>,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// A running server.
    pub async fn start() -> Self {
        Self::start_on_free_port(None).await
    }

    /// A sentinel that knows this server as the master of `mymaster`.
    pub async fn start_sentinel(&self) -> Self {
        Self::start_on_free_port(Some(self.port)).await
    }

    async fn start_on_free_port(watched: Option<u16>) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|taken| taken.local_addr()).expect("a port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { port: free.port(), watched, folder, process: None };
        server.restart().await;
        server
    }

    /// A URL with a prefix of its own on every call.
    pub fn url(&self) -> SecretString {
        let scheme = if self.watched.is_some() { "redis-sentinel" } else { "redis" };
        with_own_prefix(&format!("{scheme}://127.0.0.1:{}", self.port))
    }

    /// Starts the server, empty, on the same port.
    pub async fn restart(&mut self) {
        self.kill();
        let purpose = match self.watched {
            Some(port) => format!("sentinel monitor mymaster 127.0.0.1 {port} 1"),
            None => "save \"\"\nappendonly no".to_owned(),
        };
        let settings = format!("port {}\nbind 127.0.0.1\n{purpose}\n", self.port);
        let file = self.folder.path().join("redis.conf");
        std::fs::write(&file, settings).expect("the folder can be written to");
        let process = Command::new("redis-server")
            .arg(&file)
            .args(self.watched.map(|_| "--sentinel"))
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
