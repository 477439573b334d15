use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use tempfile::TempDir;
use tokio::net::TcpStream;
use url::Url;
use uuid::Uuid;

use super::{EXCHANGE, file_of, planned_port, signal, until};

/// A start takes seconds, but far longer on a machine whose cores are busy with other tests.
const START: Duration = Duration::from_mins(3);

/// A virtual host for one test in the shared broker, deleted when the test ends.
pub struct Vhost {
    name: String,
    dir: PathBuf,
    url: Url,
}

impl Vhost {
    pub fn fresh() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test"));
        let (url, dir) = (variable("TEST_AMQP_URL"), PathBuf::from(variable("TEST_RABBITMQ_DIR")));
        let name = format!("user_service_test_{}", Uuid::new_v4().simple());
        let mut url = Url::parse(&url).expect("TEST_AMQP_URL is a URL");
        url.set_path(&name);
        eval(
            &dir,
            &format!(
                "ok = rabbit_vhost:add(<<\"{name}\">>, <<\"test\">>),
                 rabbit_auth_backend_internal:set_permissions(
                     <<\"guest\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>)"
            ),
        )
        .unwrap_or_else(|error| panic!("a vhost for the test: {error}"));
        Self { name, dir, url }
    }

    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The URL of a new user who may write to resources with names like this, and neither configure nor read.
    pub fn url_of_a_writer_to(&self, names: &str) -> String {
        let name = &self.name;
        eval(
            &self.dir,
            &format!(
                "ok = rabbit_auth_backend_internal:add_user(<<\"{name}\">>, <<\"writer\">>, <<\"test\">>),
                 rabbit_auth_backend_internal:set_permissions(
                     <<\"{name}\">>, <<\"{name}\">>, <<\"^$\">>, <<\"{names}\">>, <<\"^$\">>, <<\"test\">>)"
            ),
        )
        .unwrap_or_else(|error| panic!("a user for the test: {error}"));
        let mut url = self.url.clone();
        url.set_username(name).expect("a name");
        url.set_password(Some("writer")).expect("a password");
        url.into()
    }

    /// Declares the exchange before the service does, with arguments as an operator might choose.
    pub async fn declare_exchange(&self, arguments: FieldTable) {
        let connection =
            Connection::connect(self.url(), ConnectionProperties::default()).await.expect("RabbitMQ answers");
        let channel = connection.create_channel().await.expect("a channel");
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, arguments);
        declared.await.expect("an exchange");
        connection.close(200, "OK".into()).await.expect("the connection closes");
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        // The user may not exist, and the broker may be gone by now.
        let _ =
            eval(&self.dir, &format!("rabbit_auth_backend_internal:delete_user(<<\"{0}\">>, <<\"test\">>)", self.name));
        let _ = eval(&self.dir, &format!("rabbit_vhost:delete(<<\"{}\">>, <<\"test\">>)", self.name));
    }
}

/// A RabbitMQ broker that a test can stop, freeze and start again.
pub struct RabbitMq {
    dir: TempDir,
    port: u16,
    process: Option<Child>,
}

impl RabbitMq {
    /// A broker that is not started yet.
    pub fn planned() -> Self {
        Self { dir: TempDir::new().expect("a temporary folder"), port: planned_port(), process: None }
    }

    pub async fn started() -> Self {
        let mut rabbitmq = Self::planned();
        rabbitmq.start().await;
        rabbitmq
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Starts the broker. Durable queues and persistent messages of an earlier run are there again.
    pub async fn start(&mut self) {
        let (url, log) = (self.url(), self.dir.path().join("output"));
        let mut command = Command::new(file_of("scripts/rabbitmq"));
        command.arg(self.dir.path()).arg(self.port.to_string()).stdin(Stdio::null());
        let output = File::create(&log).expect("a log");
        command.stderr(output.try_clone().expect("the log again")).stdout(output);
        let process = self.process.insert(command.spawn().expect("scripts/rabbitmq starts"));
        until("RabbitMQ accepts connections", START, async || {
            let has_ended = process.try_wait().expect("the status of RabbitMQ").is_some();
            assert!(!has_ended, "RabbitMQ does not start: {}", fs::read_to_string(&log).unwrap_or_default());
            TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
                && Connection::connect(&url, ConnectionProperties::default()).await.is_ok()
        })
        .await;
    }

    /// Stops the broker in order: it notifies clients.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Ends the broker at once, as a crash does.
    pub fn crash(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, name: &str) {
        if let Some(mut process) = self.process.take() {
            signal::send(name, process.id());
            process.wait().expect("RabbitMQ ends");
        }
    }

    /// Freezes the broker: its sockets stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        signal::send(name, self.process.as_ref().expect("RabbitMQ runs").id());
    }

    /// Raises the memory alarm: the broker sends `connection.blocked` to publishers and stops reading from them.
    pub fn block_publishers(&self) {
        self.limit_memory("0.0");
    }

    pub fn unblock_publishers(&self) {
        self.limit_memory("0.4");
    }

    /// Limits the size of messages: the broker closes a channel that exceeds it. Applies to new connections.
    pub fn limit_messages(&self, bytes: usize) {
        let set = format!("application:set_env(rabbit, max_message_size, {bytes})");
        eval(self.dir.path(), &set).unwrap_or_else(|error| panic!("{error}"));
    }

    fn limit_memory(&self, fraction: &str) {
        let set = format!("vm_memory_monitor:set_vm_memory_high_watermark({fraction})");
        eval(self.dir.path(), &set).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Evaluates Erlang in the broker of this folder, in about 20 ms. Its own tool, rabbitmqctl, takes seconds.
fn eval(dir: &Path, expression: &str) -> Result<String, String> {
    let output = Command::new(file_of("scripts/rabbitmq")).arg("--eval").arg(dir).arg(expression).output();
    let output = output.expect("scripts/rabbitmq starts");
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
