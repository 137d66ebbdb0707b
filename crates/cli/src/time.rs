//! Times as people write them: RFC 3339 in UTC, or milliseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

const MS_PER_DAY: u64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write.
const MAX_UNIX_MS: u64 = 253_402_300_799_999;

/// Now, in milliseconds since 1970-01-01T00:00:00Z.
pub fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Reads `2026-11-22`, `2026-11-22T14:05:00Z`, `2026-11-22T14:05:00.250Z`, or milliseconds since 1970.
///
/// # Errors
/// What is expected, in words.
pub fn parse(text: &str) -> Result<u64, String> {
    let parsed = text.parse().ok().filter(|ms| *ms <= MAX_UNIX_MS).or_else(|| parse_utc(text));
    parsed.ok_or_else(|| {
        "expected a time such as 2026-11-22, 2026-11-22T14:05:00Z, or milliseconds since 1970".to_owned()
    })
}

fn parse_utc(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let digits = fraction.len();
    if !(1..=3).contains(&digits) || hour > 23 || minute > 59 || second > 59 || !(1970..=9999).contains(&year)
    {
        return None;
    }
    let ms = numbers(fraction, '.', [digits]).map(|[n]| n * 10_u64.pow(3 - digits as u32))?;
    let days = days_since_1970(year, month, day);
    // A day that is not in its month comes back as another one.
    if civil(days) != (year, month, day) {
        return None;
    }
    Some(days * MS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

/// Numbers of fixed numbers of digits between separators.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (out, digits) in out.iter_mut().zip(digits) {
        let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
        *out = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// A time as RFC 3339 writes it.
pub fn utc(unix_ms: u64) -> String {
    if unix_ms > MAX_UNIX_MS {
        return "after 9999".to_owned();
    }
    let (year, month, day) = civil(unix_ms / MS_PER_DAY);
    let ms = unix_ms % MS_PER_DAY;
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, 1970 or later. The year begins in March, so that
/// the leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_469)
}

/// The date that many days after 1970-01-01: the inverse of [`days_since_1970`].
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_790_001_000_123, "2026-09-21T14:30:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (MAX_UNIX_MS, "9999-12-31T23:59:59.999Z"),
        ];
        for (unix_ms, text) in cases {
            assert_eq!((utc(unix_ms).as_str(), parse(text)), (text, Ok(unix_ms)));
            assert_eq!(parse(&unix_ms.to_string()), Ok(unix_ms));
        }
        assert_eq!(parse("2026-11-22"), parse("2026-11-22T00:00:00.0Z"));
        for day in 0..2_932_896 {
            let (year, month, date) = civil(day);
            assert_eq!(days_since_1970(year, month, date), day);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "-1",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "2026-11-22T14:05:00",
            "2026-11-22T24:00:00Z",
            "2026-11-22T14:05:00+01:00",
            "2026-11-22T14:05:00.1234Z",
            "1969-12-31",
            "99999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
