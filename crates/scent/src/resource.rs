//! Who tells: attributes, and the resource they make.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Names and values, in the names of OpenTelemetry's semantic conventions.
pub type Attributes = Vec<(String, String)>;

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

pub(crate) fn resource(attributes: &Attributes) -> Resource {
    let attributes = attributes.iter().map(|(key, value)| text(key, value.clone())).collect();
    Resource { attributes, ..Resource::default() }
}

pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "mycelium".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
