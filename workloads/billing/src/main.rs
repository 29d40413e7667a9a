//! Billing: the smallest workload there is, and the one the benchmarks run.
//!
//! `/health` is 200, `/hello` says `GREETING` and which replica answered.

use std::process::ExitCode;

use serve::{Identity, Response};

fn main() -> ExitCode {
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "hello".to_owned());
    // said for as long as the process lives, so it is never copied
    let hello: &str = format!("{greeting} from {}\n", Identity::from_env("billing")).leak();
    serve::main("billing", move |request| {
        match request.path {
            "/health" => Response::ok("ok\n"),
            "/hello" => Response::ok(hello),
            _ => Response::not_found(),
        }
        .into()
    })
}
