//! Producers who write where nobody reads, beside those whom somebody follows.

use super::*;

/// All groups read from Kafka, what the mirror brings them.
fn moved() -> String {
    let group = |name: &str| {
        format!(
            "{{ do = \"roll-out\", group = \"{name}\" }}, {{ do = \"switch-read\", group = \"{name}\", to = \"kafka\" }}"
        )
    };
    format!("{{ do = \"start-mirror\" }}, {}, {}", group("billing"), group("audit"))
}

#[test]
fn a_mirror_that_stops_under_those_who_read_what_it_brings_is_a_warning() {
    let (moved, stop) = (moved(), "{ do = \"stop-mirror\" }");
    let message = "the mirror stops while producers write to Corgi and billing, audit read from Kafka: what is written from then on comes to none of them";
    assert_eq!(only(&format!("{moved}, {stop}")), warning(6, message));
    for to in ["both", "kafka"] {
        clean(&format!("{moved}, {{ do = \"switch-write\", to = \"{to}\" }}, {stop}"));
    }
    // Nothing is written while everything is held.
    let kafka = "{ do = \"switch-write\", to = \"kafka\" }";
    clean(&format!("{moved}, {{ do = \"hold\" }}, {stop}, {kafka}, {{ do = \"release\" }}"));
    let some =
        format!("{moved}, {{ do = \"hold\", partitions = [1] }}, {stop}, {kafka}, {{ do = \"release\" }}");
    assert_eq!(only(&some), warning(7, message));
    let reverse = format!("{{ do = \"start-reverse-mirror\" }}, {kafka}, {{ do = \"stop-reverse-mirror\" }}");
    assert!(
        only(&reverse)
            .2
            .starts_with("the reverse mirror stops while producers write to Kafka and billing, audit")
    );
    clean("{ do = \"start-reverse-mirror\" }, { do = \"stop-reverse-mirror\" }");
}

#[test]
fn producers_who_are_switched_past_those_who_read_elsewhere_are_a_warning() {
    let write = |to: &str| format!("{{ do = \"switch-write\", to = \"{to}\" }}");
    let (kafka, corgi, both) = (write("kafka"), write("corgi"), write("both"));
    let (stop, start) = ("{ do = \"stop-mirror\" }", "{ do = \"start-mirror\" }");
    let (hold, release) = ("{ do = \"hold\" }", "{ do = \"release\" }");
    let back = "producers write to Corgi from here on while billing, audit read from Kafka and the mirror does not run: as long as that is so, what is written does not come to them";
    let moved = format!("{}, {kafka}", moved());
    assert_eq!(only(&format!("{moved}, {stop}, {corgi}")), warning(8, back));
    assert_eq!(only(&format!("{moved}, {both}, {stop}, {corgi}")), warning(9, back));
    clean(&format!("{moved}, {corgi}"));
    clean(&format!("{moved}, {stop}, {both}"));
    clean(&format!("{moved}, {stop}, {start}, {corgi}"));
    let home = |group: &str| format!("{{ do = \"switch-read\", group = \"{group}\", to = \"corgi\" }}");
    let reverse = "{ do = \"start-reverse-mirror\" }";
    clean(&format!("{moved}, {stop}, {reverse}, {}, {}, {corgi}", home("billing"), home("audit")));
    // What is held is told when it is released, unless that is undone before.
    assert_eq!(only(&format!("{moved}, {stop}, {hold}, {corgi}, {release}")), warning(10, back));
    clean(&format!("{moved}, {stop}, {hold}, {corgi}, {kafka}, {release}"));
    clean(&format!("{moved}, {stop}, {hold}, {corgi}, {start}, {release}"));

    let past = "producers write to Kafka from here on while billing, audit read from Corgi and the reverse mirror does not run: as long as that is so, what is written does not come to them";
    assert_eq!(only(&kafka), warning(1, past));
    clean(&format!("{reverse}, {kafka}"));
    clean(&both);
    assert_eq!(only(&format!("{hold}, {kafka}, {release}")), warning(3, past));
    assert_eq!(
        lint(&kafka)[0].help,
        "Switch their reads to Kafka before it, or write { do = \"start-reverse-mirror\" } before it"
    );
    // A mirror that is stopped under the hold is told at its end as well.
    let under = format!("{}, {hold}, {stop}, {release}", self::moved());
    assert_eq!(only(&under), warning(8, back));
}
