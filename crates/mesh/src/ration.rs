//! How much each replica gets, as people write it: `auto`, `manifest`, `cpu=200,memory=128`.

use std::str::FromStr;

use genome::{Fixed, Size};
use serde::Deserialize;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ration(pub Option<Size>);

impl FromStr for Ration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no size: `auto`, `manifest`, or numbers like cpu=200,memory=128 (thousandths of a CPU, MiB)"
            )
        };
        match text {
            "auto" => return Ok(Self(Some(Size::Auto))),
            "manifest" => return Ok(Self(None)),
            _ => {}
        }
        let mut fixed = Fixed::default();
        for part in text.split(',') {
            let (name, number) = part.split_once('=').ok_or_else(wrong)?;
            let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
            let place = match name.trim() {
                "cpu" | "cpu_milli" => &mut fixed.cpu_milli,
                "memory" | "memory_mb" => &mut fixed.memory_mb,
                _ => return Err(wrong()),
            };
            if place.replace(number).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(Some(Size::Fixed(fixed))))
    }
}

impl TryFrom<String> for Ration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_what_is_none_is_refused() {
        let fixed = |cpu_milli, memory_mb| Ok(Ration(Some(Size::Fixed(Fixed { cpu_milli, memory_mb }))));
        assert_eq!("auto".parse(), Ok(Ration(Some(Size::Auto))));
        assert_eq!("manifest".parse(), Ok(Ration(None)));
        assert_eq!("cpu=200,memory=128".parse::<Ration>(), fixed(Some(200), Some(128)));
        assert_eq!("memory=64".parse::<Ration>(), fixed(None, Some(64)));
        for text in ["", "car", "cpu", "cpu=", "cpu=0", "cpu=-1", "cpu=1,cpu=2", "disk=1", "cpu=1,", "AUTO"] {
            assert!(text.parse::<Ration>().unwrap_err().contains("is no size"), "{text}");
        }
    }
}
