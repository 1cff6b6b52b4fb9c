//! What is served on the address.

use std::{collections::BTreeMap, time::Duration};

use host::testing::sysfs::{F1, FakeSysfs};

use super::{probe::Question, *};
use crate::{
    access::Roots,
    book::Book,
    config::{Defaults, load},
    handover::{
        Handover,
        cdi::{self, Cdi},
        device_info::DeviceInfoFiles,
    },
    health::Signs,
    holder::{Holder, Holding},
    inventory::{Inventory, Listing, Seen, Unwell},
    memory::Memory,
    node::{scan, tests::f1_network},
    plan::plan,
    serve::kubelet::Kubelet,
    status::{Phase, Status},
    watch::Topic,
};

/// The base fixture with one pool, and what the daemon would have noted of it.
struct World {
    directory: tempfile::TempDir,
    _fake: FakeSysfs,
    shared: Arc<Shared>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeSysfs::parse(F1);
        fake.directory("bus/pci/devices/0000:18:00.0/sriov/1/stats");
        fake.file(
            "bus/pci/devices/0000:18:00.0/sriov/1/stats/rx_bytes",
            "4711\n",
        );
        let at = |name: &str| directory.path().join(name);
        let shared = Shared {
            kubelet: Kubelet::new(at("kubelet")),
            roots: Roots {
                sysfs: fake.sysfs(),
                dev: at("dev"),
            },
            handover: Handover {
                device_info: DeviceInfoFiles::new(at("devinfo")),
                cdi: Cdi::new(cdi::Settings::default()),
            },
            book: Book::open(Memory::new(&at("devinfo"), std::path::Path::new("/proc"))),
            status: Status::default(),
            kubelet_changes: Topic::new(),
            device_changes: Topic::new(),
            pause: Duration::from_millis(1),
        };
        Self {
            directory,
            _fake: fake,
            shared: Arc::new(shared),
        }
    }

    /// One pass of the loop.
    fn observe(&self) -> BTreeMap<crate::config::ResourceName, Listing> {
        let defaults = Defaults {
            prefix: "x.org".to_owned(),
            socket_directory: "/".into(),
        };
        let text = br#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0"]}}]}"#;
        let config = load(text, &defaults).unwrap().config;
        let node = Arc::new(scan(&self.shared.roots.sysfs, &f1_network()).unwrap());
        let plan = Arc::new(plan(&config, &node));
        let signs = Signs {
            carriers: BTreeMap::from([("pf0".to_owned(), true)]),
            ..Signs::default()
        };
        let seen = Seen {
            config: &config,
            plan: &plan,
            node: &node,
            signs: &signs,
        };
        let pools = Inventory::default().apply(&seen, &BTreeMap::new());
        let mut facts = self.shared.status.lock();
        facts.generation = 1;
        facts.scanned(&node, &signs, Duration::from_millis(3));
        facts.offer(&pools);
        facts.plan = Some(plan);
        pools
    }

    fn phase(&self, phase: &Phase) {
        let facts = self.shared.status.lock();
        let names: Vec<_> = facts.pools.keys().cloned().collect();
        drop(facts);
        for name in names {
            self.shared.status.phase(&name, phase.clone());
        }
    }

    /// Serves on a unix socket until dropped, and asks.
    async fn ask(&self, question: Question) -> Result<String, probe::ProbeError> {
        let address = Address::Unix(self.directory.path().join("http.sock"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(
            address.clone(),
            Arc::clone(&self.shared),
            stop.clone(),
        ));
        let Address::Unix(path) = &address else {
            unreachable!()
        };
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        let asked = tokio::task::spawn_blocking(move || probe::ask(&address, question)).await;
        stop.cancel();
        serving.await.unwrap();
        asked.unwrap()
    }
}

#[tokio::test]
async fn a_probe_tells_what_keeps_the_program_from_its_job() {
    let world = World::new();
    assert_eq!(world.ask(Question::Live).await.unwrap(), "ok");
    let refused = world.ask(Question::Ready).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not ready: no configuration yet; the node is not observed yet"
    );
    world.observe();
    world.phase(&Phase::Broken(
        "the kubelet refused the pool: no".to_owned(),
    ));
    let refused = world.ask(Question::Ready).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not ready: x.org/net: the kubelet refused the pool: no"
    );
    world.phase(&Phase::Streaming);
    assert_eq!(world.ask(Question::Ready).await.unwrap(), "ok");
    let problem = "config.json: line 1, column 2: not JSON".to_owned();
    world.shared.status.lock().config_problems = vec![problem.clone()];
    let refused = world.ask(Question::Ready).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("not ready: {problem}"));
}

#[test]
fn a_probe_of_nobody_fails_with_the_address() {
    let address: Address = "unix:/nonexistent/http.sock".parse().unwrap();
    let error = probe::ask(&address, Question::Live).unwrap_err();
    assert_eq!(error.to_string(), "ask unix:/nonexistent/http.sock");
}

#[tokio::test]
async fn metrics_count_pools_devices_and_traffic_under_the_exporters_names() {
    let world = World::new();
    let mut pools = world.observe();
    world.phase(&Phase::Streaming);
    let listing = pools.values_mut().next().unwrap();
    let device = listing.get_mut(&"0000:18:02.0".parse().unwrap()).unwrap();
    device.unwell = Some(Unwell::Gone);
    world.shared.status.lock().offer(&pools);
    let page = metrics::render(&world.shared).await;
    for line in [
        "sriov_pool_devices{resource=\"x.org/net\",state=\"healthy\"} 2",
        "sriov_pool_devices{resource=\"x.org/net\",state=\"unhealthy\"} 1",
        "sriov_pool_devices{resource=\"x.org/net\",state=\"allocated\"} 0",
        "sriov_pool_devices{resource=\"x.org/net\",state=\"free\"} 2",
        "sriov_device_unhealthy{resource=\"x.org/net\",pciAddr=\"0000:18:02.0\",reason=\"gone\"} 1",
        "sriov_device_health_transitions_total{resource=\"x.org/net\",reason=\"gone\"} 1",
        "sriov_pf_link_up{pf=\"pf0\"} 1",
        "sriov_vf_rx_bytes{numa_node=\"0\",pciAddr=\"0000:18:02.1\",pf=\"pf0\",vf=\"1\"} 4711",
        "sriov_vf_rx_bytes_total{pci=\"0000:18:02.1\",pf=\"pf0\",vf=\"1\",resource=\"x.org/net\",namespace=\"\",pod=\"\",container=\"\"} 4711",
        "sriov_device_info{pci=\"0000:18:02.1\",pf=\"pf0\",vf=\"1\",driver=\"iavf\",numa=\"0\",resource=\"x.org/net\",namespace=\"\",pod=\"\",container=\"\",interface=\"pf0v1\"} 1",
        "sriov_device_excluded{resource=\"x.org/net\",reason=\"pfNames\"} 2",
        "sriovdp_registrations_total{resource=\"x.org/net\"} 1",
        "sriovdp_config_generation 1",
        "sriovdp_ready 1",
    ] {
        assert!(
            page.contains(&format!("{line}\n")),
            "{line} is not in\n{page}"
        );
    }
}

#[test]
fn every_metric_is_described_once_and_before_its_samples() {
    let world = World::new();
    world.observe();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let page = runtime.block_on(metrics::render(&world.shared));
    let mut described = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(!described.contains(&name), "{name} twice");
            described.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let last = described.last().unwrap();
            assert!(
                name == *last || name.starts_with(&format!("{last}_")),
                "{line}"
            );
        }
    }
    assert!(described.contains(&"sriov_kubepoddevice"), "{described:?}");
}

#[test]
fn debug_devices_tells_pools_refusals_and_holders() {
    let world = World::new();
    world.observe();
    let holding = Holding {
        resource: "x.org/net".to_owned(),
        id: "0000:18:02.1".parse().unwrap(),
        holder: Holder {
            namespace: "default".to_owned(),
            pod: "p".to_owned(),
            container: "c".to_owned(),
        },
    };
    let document = debug::document(&world.shared, &[holding]);
    let devices = &document["pools"]["x.org/net"]["devices"];
    assert_eq!(devices[1]["holder"]["pod"], "p");
    assert_eq!(devices[0]["holder"], serde_json::Value::Null);
    let refused = document["devices"].as_array().unwrap();
    let mlx = refused
        .iter()
        .find(|device| device["id"] == "0000:af:00.2")
        .unwrap();
    assert_eq!(mlx["refused"][0]["why"], "pfNames does not match pf1#0");
    assert_eq!(document["obstacles"][0], "x.org/net: starting");
}
