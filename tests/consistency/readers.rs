use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;
use user_service_checker::Event;
use user_service_checker::events::{Channel, Reader};

use crate::sse::{Inbox, SILENCE, follow_sse};
use crate::support::http;
use crate::support::proto::WatchUsersRequest;
use crate::world::World;
use crate::{events, grpc, rabbitmq};

/// How long events may take to arrive when nothing is in their way any more.
const ARRIVAL: Duration = Duration::from_secs(30);

/// A consumer of RabbitMQ, a reader of server-sent events and a gRPC watcher.
pub struct Readers {
    inboxes: [(&'static str, Channel, Inbox); 3],
    /// Events of RabbitMQ that were judged with their round: deliveries may be repeated later.
    judged: HashSet<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    pub async fn start(world: &Arc<World>, rng: &mut Rng) -> Self {
        rabbitmq::declare(world.vhost.url()).await;
        let [rabbitmq, sse, grpc] = [(); 3].map(|()| Inbox::default());
        let tasks = vec![
            tokio::spawn(rabbitmq::read(world.vhost.url().to_owned(), rabbitmq.clone())),
            tokio::spawn(read_sse(Arc::clone(world), rng.fork(), sse.clone())),
            tokio::spawn(read_grpc(Arc::clone(world), rng.fork(), grpc.clone())),
        ];
        let inboxes =
            [("rabbitmq", Channel::Rabbitmq, rabbitmq), ("sse", Channel::Sse, sse), ("grpc", Channel::Grpc, grpc)];
        Self { inboxes, judged: HashSet::new(), tasks }
    }

    /// Waits until every reader was told of the last change, and RabbitMQ's of all that the others were told of.
    pub async fn told_of(&self, name: &str) {
        let deadline = Instant::now() + ARRIVAL;
        let is_last = |event: &Event| event.name.as_deref() == Some(name);
        while Instant::now() < deadline
            && !(self.inboxes.iter().all(|(_, _, inbox)| inbox.has(is_last)) && self.is_even())
        {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes what has been told until now.
    pub fn take(&mut self) -> Vec<Reader> {
        let mut readers = Vec::new();
        for (name, channel, inbox) in &self.inboxes {
            let mut events = inbox.take();
            if *channel == Channel::Rabbitmq {
                events.retain(|event| !self.judged.contains(&event.event_id));
                self.judged.extend(events.iter().map(|event| event.event_id.clone()));
            }
            readers.push(Reader { name: (*name).to_owned(), channel: *channel, events });
        }
        readers
    }

    fn is_even(&self) -> bool {
        let told = |inbox: &Inbox| {
            let events = inbox.0.lock().unwrap();
            let ids = events.iter().map(|event| event.event_id.clone());
            HashSet::<String>::from_iter(ids.filter(|id| !self.judged.contains(id)))
        };
        let [(_, _, rabbitmq), (_, _, sse), (_, _, grpc)] = &self.inboxes;
        let told_by_sse = told(sse);
        told(rabbitmq) == told_by_sse && told(grpc) == told_by_sse
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads `/api/v2/events` until it is aborted, of one replica after another.
async fn read_sse(world: Arc<World>, mut rng: Rng, inbox: Inbox) {
    let http = http().connect_timeout(Duration::from_secs(2)).build().expect("an HTTP client");
    let mut last = 0;
    loop {
        let replica = rng.usize(..world.replicas.len());
        let url = format!("http://{}/api/v2/events", world.replicas[replica].addresses().rest);
        let _ = follow_sse(&http, &url, &world.token, &mut last, &inbox).await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Reads `WatchUsers` until it is aborted, of one replica after another.
async fn read_grpc(world: Arc<World>, mut rng: Rng, inbox: Inbox) {
    let mut last = 0;
    loop {
        let replica = rng.usize(..world.replicas.len());
        let address = world.replicas[replica].addresses().grpc;
        let _ = follow_grpc(&address, &world.token, &mut last, &inbox).await;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn follow_grpc(address: &str, token: &str, last: &mut i64, inbox: &Inbox) -> Option<()> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let mut client = grpc::client(endpoint.connect_lazy(), token);
    let request = WatchUsersRequest { after: Some(*last), types: Vec::new() };
    let mut messages = timeout(SILENCE, client.watch_users(request)).await.ok()?.ok()?.into_inner();
    loop {
        let message = timeout(SILENCE, messages.message()).await.ok()?.ok()??;
        if let Some(event) = message.event {
            let position = u64::try_from(message.position).expect("a position of the service");
            inbox.put(
                events::of_message(position, event)
                    .expect("an event with a type, and the attributes that go with its name"),
            );
        }
        *last = message.position;
    }
}
