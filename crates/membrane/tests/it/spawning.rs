//! How workloads start and end.

use membrane::{Exit, KeeperError, LogStream};

use crate::support::Nest;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_reports_and_forgets() {
    let nest = Nest::new();
    let (mut client, before) = nest.attach().await;
    assert_eq!(before, []);
    let process = client.keeper.spawn(nest.shell("a", "echo hello; echo oops >&2; exit 7")).await.unwrap();
    assert_eq!((process.id.as_str(), process.exit), ("a", None));
    assert_eq!(process.note, r#"{"note":"a"}"#);
    assert_eq!(client.exit_of("a").await, Exit::Code(7));
    assert_eq!(nest.stdout("a"), "hello\n");
    assert_eq!(nest.log("a", LogStream::Stderr), "oops\n");
    let again = client.keeper.spawn(nest.shell("a", "true")).await;
    assert!(matches!(again, Err(KeeperError::Exists { .. })), "{again:?}");
    client.keeper.forget("a").await.unwrap();
    client.keeper.spawn(nest.shell("a", "kill -KILL $$")).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    client.end().await;
}
