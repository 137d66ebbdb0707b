//! Metadata of a call as it stands in heads and ends.

use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};

use crate::{Error, SEALED};

/// Longest metadata of a head or an end, in bytes.
pub(crate) const MAX_METADATA_BYTES: usize = 16 << 10;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What stands outside, because it is the transport's: the same for all calls, or needed by whoever cuts off a call that
/// takes too long.
const OUTSIDE: [HeaderName; 5] = [CONTENT_TYPE, TE, USER_AGENT, GRPC_TIMEOUT, SEALED];

/// What is said about compression, of which there is none in a sealed call.
const DROPPED: [&str; 2] = ["grpc-accept-encoding", "grpc-encoding"];

/// Takes what is sealed out of the headers of a call.
pub(crate) fn split(headers: &mut HeaderMap) -> HeaderMap {
    let mut sealed = core::mem::take(headers);
    for name in OUTSIDE {
        if let Some(value) = sealed.remove(&name) {
            headers.insert(name, value);
        }
    }
    DROPPED.iter().for_each(|name| _ = sealed.remove(*name));
    sealed
}

/// Puts the metadata of a head into headers of which only what stands outside is kept.
pub(crate) fn join(headers: &mut HeaderMap, sealed: HeaderMap) {
    split(headers);
    headers.extend(sealed);
}

/// `count u16 || (length u8 || name || length u16 || value)*`, little-endian.
pub(crate) fn write(headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let count = u16::try_from(headers.len()).map_err(|_| Error::Metadata)?;
    let mut out = count.to_le_bytes().to_vec();
    for (name, value) in headers {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        out.push(u8::try_from(name.len()).map_err(|_| Error::Metadata)?);
        out.extend_from_slice(name);
        out.extend_from_slice(&u16::try_from(value.len()).map_err(|_| Error::Metadata)?.to_le_bytes());
        out.extend_from_slice(value);
    }
    if out.len() > MAX_METADATA_BYTES { Err(Error::Metadata) } else { Ok(out) }
}

pub(crate) fn read(bytes: &[u8]) -> Result<HeaderMap, Error> {
    if bytes.len() > MAX_METADATA_BYTES {
        return Err(Error::Metadata);
    }
    let mut rest = bytes;
    let count = u16::from_le_bytes(take(&mut rest)?);
    let mut headers = HeaderMap::new();
    for _ in 0..count {
        let [length] = take(&mut rest)?;
        let name =
            HeaderName::from_lowercase(taken(&mut rest, length.into())?).map_err(|_| Error::Metadata)?;
        let length = u16::from_le_bytes(take(&mut rest)?);
        let value = HeaderValue::from_bytes(taken(&mut rest, length.into())?).map_err(|_| Error::Metadata)?;
        headers.try_append(name, value).map_err(|_| Error::Metadata)?;
    }
    if rest.is_empty() { Ok(headers) } else { Err(Error::Metadata) }
}

fn taken<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Error::Metadata)?;
    *rest = left;
    Ok(taken)
}

fn take<const L: usize>(rest: &mut &[u8]) -> Result<[u8; L], Error> {
    taken(rest, L)?.try_into().map_err(|_| Error::Metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn metadata_is_read_as_it_was_written_and_nothing_else_is_read() {
        let all = headers(&[("a", "1"), ("grpc-status", "0"), ("x-bin", "AQI"), ("empty", "")]);
        let bytes = write(&all).unwrap();
        assert_eq!(read(&bytes).unwrap(), all);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
        assert!(read(b"\x01\x00\x01A\x00\x00").is_err(), "an upper-case name");
        assert!(read(b"\x01\x00\x01a\x01\x00\n").is_err(), "a line break");
    }

    #[test]
    fn nothing_that_matters_stands_outside() {
        let mut outside = headers(&[
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "1S"),
            ("grpc-accept-encoding", "gzip"),
            ("authorization", "secret"),
        ]);
        let sealed = split(&mut outside);
        assert_eq!(sealed, headers(&[("authorization", "secret")]));
        let kept = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "1S")];
        assert_eq!(outside, headers(&kept));
        // What someone between adds is dropped.
        outside.insert("authorization", HeaderValue::from_static("forged"));
        join(&mut outside, sealed);
        assert_eq!(outside.get("authorization").unwrap(), "secret");
        assert_eq!(outside.get_all("authorization").iter().count(), 1);
    }
}
