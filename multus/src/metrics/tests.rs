use std::sync::Arc;

use multus_plugin::wire::{Attachment, AttachmentError, AttachmentReport, PodRef, VERSION};
use serde_json::value::RawValue;

use super::*;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn pod() -> PodRef {
    PodRef {
        namespace: "d".into(),
        name: "p".into(),
        uid: None,
    }
}

fn plan(kinds: &[&str]) -> Plan {
    let attachment = |(index, kind): (usize, &&str)| -> Attachment {
        let text = format!(
            r#"{{"name":"d/n{index}","ifname":"net{index}","config":{{"name":"n","type":"{kind}"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    Plan {
        version: VERSION,
        pod: pod(),
        attachments: kinds.iter().enumerate().map(attachment).collect(),
        warnings: Vec::new(),
    }
}

fn report(id: &str, durations: &[u64], error: Option<Reason>) -> Report {
    let attachment = |(index, ms): (usize, &u64)| AttachmentReport {
        name: format!("d/n{index}"),
        default: false,
        ifname: format!("net{index}"),
        result: raw("{}"),
        device_info: None,
        gateways: Vec::new(),
        duration_ms: Some(*ms),
    };
    Report {
        version: VERSION,
        pod: pod(),
        container_id: id.into(),
        netns: String::new(),
        attachments: durations.iter().enumerate().map(attachment).collect(),
        error: error.map(|reason| AttachmentError {
            attachment: "d/n0".into(),
            code: 999,
            msg: "no".into(),
            reason,
        }),
        kubeconfig: None,
    }
}

fn page(metrics: &Metrics, now: Instant) -> String {
    let mut page = Page::default();
    metrics.write(&mut page, now);
    page.text()
}

#[track_caller]
fn has(page: &str, line: &str) {
    assert!(
        page.contains(&format!("{line}\n")),
        "{line} is not in\n{page}"
    );
}

#[test]
fn row_55_an_add_is_counted_from_its_plan_to_its_report_by_result_and_reason() {
    let metrics = Metrics::default();
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    metrics.planned("c1", Ok(&plan(&["macvlan", "sriov"])), start, after(3));
    metrics.planned("c2", Ok(&plan(&["sriov"])), start, after(3));
    metrics.planned("c3", Err(Reason::NetworkNotFound), start, after(20));
    has(
        &page(&metrics, after(4)),
        "cni_inflight{plugin=\"multus\"} 2",
    );
    metrics.reported(&report("c1", &[30, 400], None), after(600));
    metrics.reported(&report("c2", &[], Some(Reason::VFInUse)), after(90));
    let text = page(&metrics, after(700));
    let add = "cni_request_duration_seconds";
    for line in [
        "cni_inflight{plugin=\"multus\"} 0",
        &format!(
            "{add}_bucket{{plugin=\"multus\",command=\"ADD\",result=\"success\",reason=\"\",le=\"1\"}} 1"
        ),
        &format!(
            "{add}_sum{{plugin=\"multus\",command=\"ADD\",result=\"success\",reason=\"\"}} 0.6"
        ),
        &format!(
            "{add}_count{{plugin=\"multus\",command=\"ADD\",result=\"error\",reason=\"VFInUse\"}} 1"
        ),
        &format!(
            "{add}_count{{plugin=\"multus\",command=\"ADD\",result=\"error\",reason=\"NetworkNotFound\"}} 1"
        ),
        "multus_plan_duration_seconds_count{result=\"success\",reason=\"\"} 2",
        "multus_plan_duration_seconds_count{result=\"error\",reason=\"NetworkNotFound\"} 1",
        "multus_attachment_duration_seconds_sum{type=\"macvlan\"} 0.03",
        "multus_attachment_duration_seconds_bucket{type=\"sriov\",le=\"0.25\"} 0",
        "multus_attachment_duration_seconds_bucket{type=\"sriov\",le=\"0.5\"} 1",
        "multus_attachments_failed_total{type=\"sriov\",reason=\"VFInUse\"} 1",
    ] {
        has(&text, line);
    }
}

#[test]
fn row_55_an_add_whose_report_never_comes_is_not_in_flight_for_ever() {
    let metrics = Metrics::default();
    let start = Instant::now();
    metrics.planned("c1", Ok(&plan(&[])), start, start);
    assert_eq!(metrics.in_flight(start), 1);
    assert_eq!(metrics.in_flight(start + FORGOTTEN), 0);
}

#[test]
fn row_55_plugin_types_of_hostile_nads_do_not_fill_the_memory() {
    let metrics = Metrics::default();
    let now = Instant::now();
    for i in 0..1000 {
        metrics.planned("c", Ok(&plan(&[&format!("evil{i}")])), now, now);
        metrics.reported(&report("c", &[], Some(Reason::DelegateFailed)), now);
    }
    let text = page(&metrics, now);
    let lines = text
        .lines()
        .filter(|line| line.starts_with("multus_attachments_failed_total{"));
    assert_eq!(lines.count(), KINDS + 1);
    has(
        &text,
        &format!(
            "multus_attachments_failed_total{{type=\"other\",reason=\"DelegateFailed\"}} {}",
            1000 - KINDS
        ),
    );
}

#[test]
fn row_55_watches_configuration_and_requests_are_told() {
    let metrics = Metrics::default();
    let start = Instant::now();
    let later = start + Duration::from_secs(40);
    let kind = "NetworkAttachmentDefinition";
    metrics.watch(kind, false, start);
    metrics.watch(kind, true, start);
    metrics.watch(kind, false, start + Duration::from_secs(10));
    metrics.watch(kind, false, later);
    metrics.watch("Pod", true, start);
    metrics.request("/plan", 503, "post");
    metrics.status("written");
    metrics.configuration(Some(Configuration::Hijacked));
    metrics.displaced();
    metrics.certificate(1_800_000_000);
    let text = page(&metrics, later);
    for line in [
        "multus_server_request_total{handler=\"/plan\",code=\"503\",method=\"post\"} 1",
        "multus_watch_up{kind=\"NetworkAttachmentDefinition\"} 0",
        "multus_watch_up{kind=\"Pod\"} 1",
        "multus_watch_interruptions_total{kind=\"NetworkAttachmentDefinition\"} 1",
        "multus_watch_stale_seconds{kind=\"NetworkAttachmentDefinition\"} 30",
        "multus_watch_stale_seconds{kind=\"Pod\"} 0",
        "net_conf_state{state=\"active\"} 0",
        "net_conf_state{state=\"hijacked\"} 1",
        "multus_conf_displacements_total 1",
        "multus_status_writes_total{result=\"written\"} 1",
        "multus_certificate_expiration_timestamp_seconds 1800000000",
    ] {
        has(&text, line);
    }
}

#[tokio::test]
async fn row_55_every_metric_is_described_once_and_before_its_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (nads, _writer) = kube::runtime::reflector::store();
    let scrape = scrape::Scrape {
        metrics: Arc::default(),
        outbox: None,
        events: Arc::default(),
        nads,
        cni_dir: dir.path().to_owned(),
    };
    let now = Instant::now();
    scrape.metrics.planned("c", Ok(&plan(&["x"])), now, now);
    scrape.metrics.reported(&report("c", &[1], None), now);
    let text = scrape.page().await;
    let mut described: Vec<&str> = Vec::new();
    for line in text.lines() {
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
    for name in [
        "cni_pending_deletes",
        "multus_build_info",
        "process_resident_memory_bytes",
    ] {
        assert!(described.contains(&name), "{name} is not in {described:?}");
    }
}
