use proptest::prelude::*;

use super::*;
use crate::Protocol;

fn read(endpoint: Option<&str>, more: &[(&str, &str)]) -> Result<Option<Settings>, BadSettings> {
    Settings::read(endpoint, |name| more.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

#[test]
fn addresses_are_read_as_people_write_them() {
    let of = |text: &str| read(Some(text), &[]).unwrap().unwrap().endpoint;
    for (text, written, protocol) in [
        ("http://127.0.0.1:4317", "http://127.0.0.1:4317", Protocol::Grpc),
        ("http://collector", "http://collector:4317", Protocol::Grpc),
        ("https://[fd00::1]:4317/", "https://[fd00::1]:4317", Protocol::Grpc),
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318", Protocol::Http),
        ("http://127.0.0.1:4318/otlp/", "http://127.0.0.1:4318/otlp", Protocol::Http),
    ] {
        let endpoint = of(text);
        assert_eq!((endpoint.to_string().as_str(), endpoint.protocol), (written, protocol));
    }
    let http = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    assert_eq!(read(Some("http://c"), &http).unwrap().unwrap().endpoint.port, 4318);
}

#[test]
fn mistakes_are_named_and_secrets_are_not() {
    for wrong in [
        "",
        "127.0.0.1:4317",
        "ftp://h:1",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http://h:4317/x",
        "http://h?x",
        "http://h:x",
    ] {
        let error = read(Some(wrong), &[]);
        assert!(matches!(error, Err(BadSettings::Endpoint(..))), "{wrong:?}: {error:?}");
    }
    let error = read(Some("http://user:hunter2@h:4317"), &[]).unwrap_err().to_string();
    assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("hunter2"), "{error}");
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ("OTEL_TRACES_SAMPLER", "some"),
        ("OTEL_TRACES_SAMPLER_ARG", "7"),
    ] {
        let error = read(Some("http://h"), &[(name, value)]).unwrap_err().to_string();
        let named = name.trim_end_matches("_ARG");
        assert!(error.contains(named) && !error.contains("hunter2"), "{name}: {error}");
    }
    let keyed = read(Some("http://h"), &[("OTEL_EXPORTER_OTLP_HEADERS", "k=hunter2")]).unwrap().unwrap();
    assert!(!format!("{keyed:?}").contains("hunter2"));
}

#[test]
fn without_an_address_or_when_asked_nothing_is_told() {
    assert!(read(None, &[]).unwrap().is_none());
    assert!(read(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
    assert!(read(Some("http://h"), &[("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
    let some = read(Some("http://h"), &[("OTEL_LOGS_EXPORTER", "none")]).unwrap().unwrap();
    assert_eq!(some.without, [Kind::Logs]);
}

proptest! {
    #[test]
    fn no_text_is_too_strange(endpoint in ".{0,80}", pairs in ".{0,80}") {
        let _ = read(Some(&endpoint), &[]);
        let _ = read(Some("http://h"), &[("OTEL_EXPORTER_OTLP_HEADERS", &pairs), ("OTEL_RESOURCE_ATTRIBUTES", &pairs)]);
    }
}
