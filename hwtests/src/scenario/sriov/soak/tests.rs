use super::*;

fn before() -> Gauges {
    Gauges {
        files: 6,
        descriptors: 32,
        processes: 2,
        mounts: 18,
        links: 14,
        routes: 29,
        neighbours: 1,
        memory_kb: 23_000,
    }
}

#[test]
fn the_soak_tells_whatever_has_become_more() {
    type Plant = fn(&mut Gauges);
    let cases: [(Plant, &str); 7] = [
        (|now| now.files += 1, "7 files, 6 before"),
        (|now| now.descriptors += 65, "97 descriptors, 32 before"),
        (|now| now.processes += 1, "3 processes, 2 before"),
        (|now| now.mounts += 1, "19 mounts, 18 before"),
        (|now| now.links += 1, "15 links, 14 before"),
        (|now| now.routes += 1, "30 routes, 29 before"),
        (|now| now.neighbours += 1, "2 neighbours, 1 before"),
    ];
    assert_eq!(before().more_than(&before()), [""; 0]);
    for (plant, told) in cases {
        let mut now = before();
        plant(&mut now);
        assert_eq!(now.more_than(&before()), [told]);
        assert_eq!(before().more_than(&now), [""; 0], "less is fine");
    }
}

#[test]
fn the_soak_finds_memory_that_every_attachment_leaves() {
    let grown_by = |kb: u64| Gauges {
        memory_kb: before().memory_kb + kb,
        ..before()
    };
    // An interface for each of 2,000 attachments.
    let leak = grown_by(2_000 * 10);
    let told = leak.memory_grown(&before(), 2_000).unwrap_err();
    assert_eq!(
        told.to_string(),
        "the kernel's memory grew from 23000 to 43000 kB"
    );
    assert!(grown_by(500).memory_grown(&before(), 2_000).is_ok());
    assert!(
        leak.memory_grown(&before(), 40).is_ok(),
        "too few to measure"
    );
}
