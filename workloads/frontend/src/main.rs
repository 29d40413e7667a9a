//! Frontend: a workload that calls another one through the mesh.
//!
//! `/hello` asks billing for its `/hello` by way of the node's edge (`MESH_EDGE`) and shows both answers; 502 when billing
//! has none. It never learns where billing runs.

mod call;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use serve::{Identity, Reply, Request, Response};

fn main() -> ExitCode {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "hello".to_owned());
    let hello: Arc<str> = format!("{greeting} from {}\n", Identity::from_env("frontend")).into();
    let edge: Option<Arc<str>> = env::var("MESH_EDGE").ok().map(Into::into);
    serve::main("frontend", move |request| match request.path {
        "/health" => Response::ok("ok\n").into(),
        "/hello" => both(request, &hello, edge.as_ref()),
        _ => Response::not_found().into(),
    })
}

/// Our own line, then billing's.
fn both(request: &Request<'_>, hello: &Arc<str>, edge: Option<&Arc<str>>) -> Reply {
    let Some(edge) = edge else {
        return Response::new(502, format!("{hello}billing can't be called: MESH_EDGE is not set\n")).into();
    };
    let (hello, edge) = (Arc::clone(hello), Arc::clone(edge));
    // the same on both, so that one request can be followed through the logs, and through its trace
    let passed = ["X-Request-Id", "Traceparent"].map(|name| Some((name, request.header(name)?.to_owned())));
    let passed: Vec<_> = passed.into_iter().flatten().collect();
    Reply::Later(Box::new(move || match call::get(&format!("{edge}/billing/hello"), &passed) {
        Ok(answer) => Response::ok(format!("{hello}billing says: {answer}")),
        Err(error) => Response::new(502, format!("{hello}billing doesn't answer: {error}\n")),
    }))
}
