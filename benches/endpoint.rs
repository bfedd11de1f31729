//! The path that the world is measured against: produce -> replicate to two slaves -> acknowledge, as asynchronous
//! services on madsim's `Endpoint` RPC. Written as such services usually are: a task a request, a lock around the log.

use madsim::net::Endpoint;
use madsim::net::rpc::{Deserialize, Request, Serialize};
use madsim::runtime::Runtime;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A record as it travels here: its identity, its key's hash, its size and its time.
type Record = (u64, u64, u32, u64);

#[derive(Serialize, Deserialize)]
struct Send(Vec<Record>);

impl Request for Send {
    type Response = u64;
    const ID: u64 = 1;
}

#[derive(Serialize, Deserialize)]
struct Replicate(Vec<Record>);

impl Request for Replicate {
    type Response = u64;
    const ID: u64 = 2;
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 9000))
}

/// Send so many batches of so many records, one after the other, each acknowledged by both slaves. Returns the length
/// of the master's log.
///
/// # Panics
/// If a call fails: the network is whole.
pub fn endpoint_path(batches: u64, batch: u64) -> u64 {
    let runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
    for slave in [2, 3] {
        let node = runtime.create_node().ip(address(slave).ip()).build();
        node.spawn(async move {
            let endpoint = Endpoint::bind(address(slave)).await.expect("the address is free");
            let log: Arc<Mutex<Vec<Record>>> = Arc::default();
            endpoint.add_rpc_handler(move |request: Replicate| {
                let log = log.clone();
                async move {
                    let mut log = log.lock().expect("no holder panics");
                    log.extend(request.0);
                    log.len() as u64
                }
            });
            std::future::pending::<()>().await;
        });
    }
    let node = runtime.create_node().ip(address(1).ip()).build();
    node.spawn(async move {
        let endpoint = Arc::new(Endpoint::bind(address(1)).await.expect("the address is free"));
        let log: Arc<Mutex<Vec<Record>>> = Arc::default();
        let slaves = endpoint.clone();
        endpoint.add_rpc_handler(move |request: Send| {
            let (log, slaves) = (log.clone(), slaves.clone());
            async move {
                log.lock().expect("no holder panics").extend(request.0.iter().copied());
                let one = slaves.call(address(2), Replicate(request.0.clone()));
                let other = slaves.call(address(3), Replicate(request.0));
                let (one, other) = tokio::join!(one, other);
                one.expect("the slave answers").min(other.expect("the slave answers"))
            }
        });
        std::future::pending::<()>().await;
    });
    let client = runtime.create_node().ip(address(9).ip()).build();
    let sent = client.spawn(async move {
        // The services bind first.
        madsim::time::sleep(std::time::Duration::from_millis(10)).await;
        let endpoint = Endpoint::bind(address(9)).await.expect("the address is free");
        let mut acknowledged = 0;
        for number in 0..batches {
            let records = (0..batch).map(|record| (number * batch + record, record, 100, number)).collect();
            acknowledged = endpoint.call(address(1), Send(records)).await.expect("the master answers");
        }
        acknowledged
    });
    runtime.block_on(sent).expect("the client ends")
}
