//! One request, one connection, one answer.

use super::{Live, LiveError};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);
/// So long nothing must come where no answer is due: a refusal closes the connection within milliseconds.
const SILENCE: Duration = Duration::from_millis(300);
/// An answer is far smaller: a length beyond it is no answer of Kafka's.
const LARGEST: u32 = 64 << 20;

/// A text of the protocol.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn unreadable(error: impl std::fmt::Display) -> LiveError {
    LiveError::Wire(error.to_string())
}

fn send<R: Request>(port: u16, version: i16, client: &str, request: &R) -> Live<TcpStream> {
    let mut connection = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), CONNECT)?;
    connection.set_nodelay(true)?;
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(text(client)))
        .encode(&mut frame, R::header_version(version))
        .map_err(unreadable)?;
    request.encode(&mut frame, version).map_err(unreadable)?;
    let length = frame.len() as u32 - 4;
    frame[0..4].copy_from_slice(&length.to_be_bytes());
    connection.write_all(&frame)?;
    Ok(connection)
}

/// Ask a broker and wait for its answer.
///
/// # Errors
/// Where the connection breaks, no answer comes in that time, or it cannot be read.
pub fn ask<R: Request>(
    port: u16,
    version: i16,
    client: &str,
    patience: Duration,
    request: &R,
) -> Live<R::Response> {
    let mut connection = send(port, version, client, request)?;
    connection.set_read_timeout(Some(patience))?;
    let mut length = [0u8; 4];
    connection.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LARGEST {
        return Err(LiveError::Wire(format!("an answer of {length} bytes")));
    }
    let mut frame = vec![0u8; length as usize];
    connection.read_exact(&mut frame)?;
    let mut frame = Bytes::from(frame);
    ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(unreadable)?;
    let answer = R::Response::decode(&mut frame, version).map_err(unreadable)?;
    match frame.remaining() {
        0 => Ok(answer),
        left => Err(LiveError::Wire(format!("{left} bytes left over"))),
    }
}

/// Ask a broker for what it does not answer.
///
/// # Errors
/// Where it answers nevertheless, or closes the connection, which is how it refuses.
pub fn tell<R: Request>(port: u16, version: i16, client: &str, request: &R) -> Live<()> {
    let mut connection = send(port, version, client, request)?;
    connection.set_read_timeout(Some(SILENCE))?;
    let mut length = [0u8; 4];
    match connection.read_exact(&mut length) {
        Ok(()) => Err(LiveError::Wire("an answer where none was due".to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The error's name as the protocol's guide writes it.
pub fn error(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        None => "NONE".to_owned(),
        Some(ResponseError::Unknown(code)) => format!("ERROR_{code}"),
        Some(error) => {
            let mut name = String::new();
            for (place, letter) in format!("{error:?}").chars().enumerate() {
                if letter.is_uppercase() && place > 0 {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::error;

    #[test]
    fn errors_have_the_names_of_the_guide() {
        assert_eq!(error(0), "NONE");
        assert_eq!(error(6), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(error(-1), "UNKNOWN_SERVER_ERROR");
    }
}
