//! Why a well-formed payload still makes no sense.

use types::Digest;

/// A field whose value can't be meant, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The JSON name of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

pub(crate) fn check_text(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    if text.len() > most {
        return Err(Invalid::new(field, format!("longer than {most} bytes")));
    }
    Ok(())
}

pub(crate) fn check_keeps(keeps: &[Digest], most: usize) -> Result<(), Invalid> {
    if keeps.len() > most {
        return Err(Invalid::new("keeps", format!("more than {most}")));
    }
    Ok(())
}
