//! Other protocols spoken to a port of Kafka's: what a wrong port number, a health check or a scanner
//! sends. Whoever reads the log learns what came, and what to change. Pure.

use crate::protocol::frame::FRAME_SIZE_LEN;

/// What these first bytes of a connection begin, where they are no request: the protocol, and what
/// helps. None of them is the size of a frame that anybody sends.
pub fn protocol_of(first: [u8; FRAME_SIZE_LEN]) -> Option<(&'static str, &'static str)> {
    const TLS_HELP: &str = "this listener is plain text: set security.protocol=PLAINTEXT in the client, \
                            or give it a listener with TLS";
    const HTTP_HELP: &str =
        "this port speaks Kafka's protocol; highwater.metrics.listener says where HTTP is spoken";
    const OTHER_HELP: &str =
        "this port speaks Kafka's protocol; check the port that the client was given";
    Some(match &first {
        // A record of the type handshake, of SSL 3.0 to TLS 1.3.
        [0x16, 3, 0..=4, _] => ("TLS", TLS_HELP),
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"DELE" | b"OPTI" | b"CONN" | b"TRAC" | b"PATC" => {
            ("HTTP", HTTP_HELP)
        }
        b"PRI " => ("HTTP/2", HTTP_HELP),
        b"SSH-" => ("SSH", OTHER_HELP),
        b"PROX" | b"\r\n\r\n" => (
            "the PROXY protocol of a load balancer",
            "requests must come without its header: switch it off for this port",
        ),
        b"EHLO" | b"HELO" => ("SMTP", OTHER_HELP),
        b"AMQP" => ("AMQP", OTHER_HELP),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(first: &[u8; 4]) -> Option<&'static str> {
        protocol_of(*first).map(|(name, _)| name)
    }

    #[test]
    fn what_came_is_named() {
        for (first, expected) in [
            (b"\x16\x03\x01\x02", "TLS"),
            (b"\x16\x03\x03\x00", "TLS"),
            (b"GET ", "HTTP"),
            (b"POST", "HTTP"),
            (b"PRI ", "HTTP/2"),
            (b"SSH-", "SSH"),
            (b"PROX", "the PROXY protocol of a load balancer"),
        ] {
            assert_eq!(name(first), Some(expected), "{first:?}");
        }
    }

    #[test]
    fn the_size_of_a_request_is_nothing_foreign() {
        for size in [0_i32, 1, 42, 1 << 20, 100 << 20, (100 << 20) + 1, -1, i32::MAX] {
            assert_eq!(protocol_of(size.to_be_bytes()), None, "{size}");
        }
    }
}
