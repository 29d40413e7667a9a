//! Requests: from any node's edge to any app, and from app to app, wherever both are.

use crate::cluster::Cluster;
use crate::http::{Connection, parts};
use crate::lan::Lan;
use crate::tests;
use crate::workloads::{deploy_to, python};

tests!(
    every_edge_routes_to_every_app,
    an_app_calls_another_by_name_on_another_node,
    a_trace_goes_on_at_another_node,
    a_node_that_dies_takes_no_request_with_it,
    a_node_that_falls_silent_takes_no_request_with_it,
);

fn every_edge_routes_to_every_app() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    deploy_to(lan.host(0), "billing", "h1");
    deploy_to(lan.host(0), "frontend", "h2");
    for host in lan.hosts() {
        assert!(host.answers("/billing/hello").contains("h1"));
        // And it reaches billing in its turn, by the edge of its own node.
        let both = host.answers("/frontend/hello");
        assert!(both.contains("h2") && both.contains("billing says: hi from billing"), "{both}");
    }
    let (_, load) =
        lan.host(0).while_asking(6, &cluster.urls("/frontend/hello"), |asking| asking.answers(300));
    load.flawless();
}

fn an_app_calls_another_by_name_on_another_node() {
    let lan = Lan::new(2);
    let _cluster = Cluster::on(&lan);
    deploy_to(lan.host(0), "billing", "h1");
    python(lan.host(0), "caller", "h0");
    for host in lan.hosts() {
        for path in ["/caller/by-edge", "/caller/by-name"] {
            let said = host.answers(path);
            assert!(said.starts_with("python on h0 hears: hi from billing") && said.contains("h1"), "{said}");
        }
    }
}

fn a_trace_goes_on_at_another_node() {
    let lan = Lan::new(2);
    let _cluster = Cluster::on(&lan);
    python(lan.host(0), "caller", "h0");
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for host in lan.hosts() {
        assert!(host.answers("/caller/").contains("nothing"));
        let (address, _) = parts(&host.url("/caller/"));
        let ask =
            |value: &str| host.space().inside(|| Connection::open(address)?.get_with("/caller/", value));
        let answer = ask(&format!("traceparent: {context}")).unwrap();
        assert!(answer.body.ends_with(context), "{answer:?}");
        assert!(ask("traceparent: garbage").unwrap().body.ends_with("nothing"));
    }
}

fn a_node_that_dies_takes_no_request_with_it() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let urls = cluster.urls("/billing/hello");
    let ((), load) = lan.host(0).while_asking(16, &urls[..2], |asking| {
        asking.answers(200);
        cluster.power_off(2);
        lan.host(0).says("h2", "dead");
        asking.answers(200);
    });
    load.flawless();
}

fn a_node_that_falls_silent_takes_no_request_with_it() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let urls = cluster.urls("/billing/hello");
    let ((), load) = lan.host(0).while_asking(16, &urls[..2], |asking| {
        asking.answers(200);
        lan.cut(&[2], &[0, 1]);
        lan.host(0).says("h2", "dead");
        asking.answers(200);
    });
    load.flawless();
}
