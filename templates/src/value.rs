//! Values of keys: from TOML to types that can't be wrong, checked once, here.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::features;
use crate::keys::Type;
use crate::problem::choices_hint;

mod text;

pub(crate) use text::TEXT_BYTES_MAX;
use text::element;
pub(crate) use text::env_name;
pub(crate) use text::file_path;
pub(crate) use text::name;
pub(crate) use text::param_name;
use text::program;
pub(crate) use text::revision;
pub(crate) use text::shown;

/// Most elements of an array: an argv or a list of set-up commands is never longer.
const ELEMENTS_MAX: usize = 256;
/// Longest duration: what is longer is a typing error.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Largest size, 1 PiB: leaves room for arithmetic.
const SIZE_BYTES_MAX: u64 = 1 << 50;
/// Most cores, in thousandths.
const CORES_MILLI_MAX: u64 = 1_024_000;

/// A value after its type was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Only says that the table (a service, a port, a parameter) is there.
    Present,
    /// Was wrong; a problem was already reported.
    Invalid,
    /// A flag.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A text, a name, a choice.
    Text(String),
    /// Several texts.
    List(Vec<String>),
    /// Bytes.
    Size(u64),
    /// A time.
    Duration(Duration),
    /// Thousandths of a core.
    Cores(u32),
}

impl Value {
    /// As text, for parameters.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Present
            | Self::Invalid
            | Self::List(_)
            | Self::Size(_)
            | Self::Duration(_)
            | Self::Cores(_) => None,
        }
    }
}

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where in the text.
    pub(crate) span: Range<usize>,
    /// What.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// Converts the value of key `key`; every fault goes to `faults`.
pub(crate) fn convert(
    key: &str,
    kind: Type,
    value: &Spanned<DeValue<'_>>,
    faults: &mut Vec<Fault>,
) -> Value {
    let mut fail = |(message, hint): Refusal| {
        faults.push(Fault {
            span: value.span(),
            message,
            hint,
        });
        Value::Invalid
    };
    if let Some(what) = features::later(key) {
        return if is_nothing(value.get_ref()) {
            Value::Present
        } else {
            fail((
                format!("not available yet ({what})"),
                Some("remove the key; it would have no effect".to_owned()),
            ))
        };
    }
    match (kind, value.get_ref()) {
        (Type::Flag | Type::Scalar, DeValue::Boolean(flag)) => Value::Flag(*flag),
        (Type::Integer { min, max }, DeValue::Integer(_)) => {
            integer(value.get_ref(), min, max).map_or_else(&mut fail, Value::Integer)
        }
        (Type::Scalar, DeValue::Integer(_)) => {
            integer(value.get_ref(), i64::MIN, i64::MAX).map_or_else(&mut fail, Value::Integer)
        }
        (Type::Cores, DeValue::Integer(number)) if number.radix() == 10 => {
            cores(number.as_str()).map_or_else(&mut fail, Value::Cores)
        }
        (Type::Cores, DeValue::Float(number)) => {
            cores(number.as_str()).map_or_else(&mut fail, Value::Cores)
        }
        (Type::Size, DeValue::String(text)) => size(text).map_or_else(&mut fail, Value::Size),
        (Type::Duration, DeValue::String(text)) => {
            duration(text).map_or_else(&mut fail, Value::Duration)
        }
        (Type::Choice(choices), DeValue::String(text)) => {
            choice(key, choices, text).map_or_else(&mut fail, Value::Text)
        }
        (
            Type::Text | Type::Name | Type::Revision | Type::HttpTarget | Type::Scalar,
            DeValue::String(text),
        ) => element(kind, text).map_or_else(&mut fail, |()| Value::Text(text.to_string())),
        (
            Type::Argv
            | Type::Commands
            | Type::Names
            | Type::Texts
            | Type::InsidePaths
            | Type::HostPaths
            | Type::GuardedPaths
            | Type::Programs
            | Type::Events
            | Type::Devices
            | Type::Scalars,
            DeValue::Array(array),
        ) => {
            if array.len() > ELEMENTS_MAX {
                fail((format!("has more than {ELEMENTS_MAX} elements"), None))
            } else if kind == Type::Argv && array.is_empty() {
                fail((
                    "is empty".to_owned(),
                    Some("give the program's name".to_owned()),
                ))
            } else {
                list(kind, array.iter(), faults).map_or(Value::Invalid, Value::List)
            }
        }
        (_, other) => fail(wrong_type(kind, other)),
    }
}

/// Message and hint.
type Refusal = (String, Option<String>);

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err((message.into(), Some(hint.into())))
}

/// An empty value of a key that is not available asks for nothing, so it is let through.
fn is_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.is_empty(),
        DeValue::Boolean(flag) => !flag,
        DeValue::Array(array) => array.is_empty(),
        DeValue::Table(table) => table.is_empty(),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => false,
    }
}

/// Checks every element; `None` when one was wrong.
fn list<'a, 'i: 'a>(
    kind: Type,
    array: impl Iterator<Item = &'a Spanned<DeValue<'i>>>,
    faults: &mut Vec<Fault>,
) -> Option<Vec<String>> {
    let before = faults.len();
    let mut list = Vec::new();
    for (index, item) in array.enumerate() {
        let checked = match (kind, item.get_ref()) {
            (Type::Scalars, DeValue::Integer(_)) => {
                integer(item.get_ref(), i64::MIN, i64::MAX).map(|number| number.to_string())
            }
            (Type::Argv, DeValue::String(text)) if index == 0 => {
                program(text).map(|()| text.to_string())
            }
            (_, DeValue::String(text)) => element(kind, text).map(|()| text.to_string()),
            (_, other) => Err(wrong_element(other)),
        };
        match checked {
            Ok(text) => list.push(text),
            Err((message, hint)) => faults.push(Fault {
                span: item.span(),
                message,
                hint,
            }),
        }
    }
    (faults.len() == before).then_some(list)
}

fn wrong_element(other: &DeValue<'_>) -> Refusal {
    (
        format!(
            "expected a list of strings, found {} in it",
            other.type_str()
        ),
        None,
    )
}

fn wrong_type(kind: Type, found: &DeValue<'_>) -> Refusal {
    let (expected, hint) = match kind {
        Type::Flag => ("true or false", None),
        Type::Integer { .. } => ("a whole number", None),
        Type::Cores => ("a number of cores", Some("write 2.0 or 0.5")),
        Type::Size => ("a size", Some("write a string such as \"512M\" or \"4G\"")),
        Type::Duration => (
            "a duration",
            Some("write a string such as \"500ms\", \"30s\" or \"10m\""),
        ),
        Type::Choice(_) | Type::Text | Type::Name | Type::Revision | Type::HttpTarget => {
            ("a string", None)
        }
        Type::Argv => (
            "a list of strings",
            Some(
                "write the program and its arguments, [\"npm\", \"run\", \"dev\"]; no shell reads it",
            ),
        ),
        Type::Commands
        | Type::Names
        | Type::Texts
        | Type::InsidePaths
        | Type::HostPaths
        | Type::GuardedPaths
        | Type::Programs
        | Type::Events
        | Type::Devices => ("a list of strings", Some("write [\"…\"]")),
        Type::Scalar => ("a string, a whole number, true or false", None),
        Type::Scalars => ("a list of strings or whole numbers", None),
    };
    (
        format!("expected {expected}, found {}", found.type_str()),
        hint.map(str::to_owned),
    )
}

fn integer(value: &DeValue<'_>, min: i64, max: i64) -> Result<i64, Refusal> {
    let parsed = value
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    match parsed {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        _ if min == max => refuse(format!("must be {min}"), format!("write {min}")),
        _ => refuse(
            "is out of range",
            format!("write a number from {min} to {max}"),
        ),
    }
}

fn cores(text: &str) -> Result<u32, Refusal> {
    thousandths(text)
        .filter(|milli| (10..=CORES_MILLI_MAX).contains(milli))
        .and_then(|milli| u32::try_from(milli).ok())
        .map_or_else(
            || {
                refuse(
                    "is not a number of cores",
                    "write 0.01 to 1024, such as 2.0",
                )
            },
            Ok,
        )
}

/// `"1.5G"` to bytes; units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, Refusal> {
    let hint = "write a number and K, M, G or T (powers of 1024), such as \"512M\" or \"1.5G\"";
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit {
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return refuse(format!("{text:?} is not a size"), hint),
    };
    let bytes = thousandths(number)
        .and_then(|milli| milli.checked_mul(1 << shift))
        .map(|scaled| scaled / 1000)
        .filter(|bytes| (1..=SIZE_BYTES_MAX).contains(bytes));
    bytes.map_or_else(|| refuse(format!("{text:?} is not a size"), hint), Ok)
}

/// `"30s"` to a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, Refusal> {
    let hint = "write a whole number and ms, s, m, h or d, such as \"500ms\" or \"30s\"";
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return refuse(format!("{text:?} is not a duration"), hint),
    };
    let parsed = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit_ms));
    match parsed.map(Duration::from_millis) {
        Some(time) if time.is_zero() => refuse("is zero", "write 1ms or more"),
        Some(time) if time > DURATION_MAX => refuse("is too long", "write 30d or less"),
        Some(time) => Ok(time),
        None => refuse(format!("{text:?} is not a duration"), hint),
    }
}

/// A duration as templates write it.
#[must_use]
pub fn duration_text(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [
        (24 * 60 * 60 * 1000, "d"),
        (60 * 60 * 1000, "h"),
        (60 * 1000, "m"),
        (1000, "s"),
    ];
    let exact = units
        .iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit));
    exact.map_or_else(
        || format!("{ms}ms"),
        |(unit, name)| format!("{}{name}", ms / unit),
    )
}

/// A plain decimal number with at most three places, times 1000.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(places) || places.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let places: u64 = format!("{places:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(places)
}

fn choice(key: &str, choices: &[&str], text: &str) -> Result<String, Refusal> {
    if !choices.contains(&text) {
        return refuse(
            format!("unknown value {}", shown(text)),
            choices_hint(text, choices),
        );
    }
    if let Some(what) = features::later_choice(key, text) {
        return refuse(
            format!("{text:?} is not available yet ({what})"),
            "remove the key",
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_exact() {
        assert_eq!(size("4G"), Ok(4 << 30));
        assert_eq!(size("1.5G"), Ok(3 << 29));
        assert_eq!(size("512MiB"), Ok(512 << 20));
        for bad in [
            "",
            "4",
            "4GB",
            "G",
            "0M",
            "-1G",
            "1.2345G",
            "99999999999T",
            "1e3M",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_one_unit_and_a_bound() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("4h"), Ok(Duration::from_secs(4 * 3600)));
        for text in ["500ms", "90s", "30m", "4h", "2d", "1001ms"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(duration("30d"), Ok(DURATION_MAX));
        for bad in [
            "",
            "30",
            "0s",
            "31d",
            "1h30m",
            "-5s",
            "s",
            "99999999999999999999s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cores_have_three_places() {
        assert_eq!(cores("2.0"), Ok(2000));
        assert_eq!(cores("1"), Ok(1000));
        for bad in ["0", "inf", "nan", "1e3", "2000", "-1", "0.001"] {
            assert!(cores(bad).is_err(), "{bad}");
        }
    }
}
