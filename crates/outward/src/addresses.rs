//! Which addresses are somebody else's, out there: everything else is this machine, its network, or nobody's.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A block of addresses, such as `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// Blocks that may be connected to although they are not public.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(pub Vec<Network>);

const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Network {
    Network { first: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), bits }
}
const fn v6(a: u16, b: u16, bits: u8) -> Network {
    Network { first: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), bits }
}

/// What is not public of version 4, by the registry of special-purpose addresses, and what a cloud answers its own
/// machines at.
const NOT_PUBLIC_4: &[Network] = &[
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
    Network { first: IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), bits: 32 },
];

/// Of version 6 only this is given to anybody: loopback, unique local, link-local, multicast, NAT64 and the rest lie
/// outside of it.
const GIVEN_6: Network = v6(0x2000, 0, 3);
/// And not these of it: protocols (Teredo among them), documentation, and 6to4, which is an address of version 4 again.
const NOT_PUBLIC_6: &[Network] = &[v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                same(u128::from(first.to_bits()) << 96, u128::from(address.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => same(first.to_bits(), address.to_bits(), self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` are the same.
fn same(one: u128, other: u128, bits: u8) -> bool {
    let apart = one ^ other;
    bits == 0 || apart >> (128 - u32::from(bits)) == 0
}

fn is_public(address: IpAddr) -> bool {
    let among = |all: &[Network]| all.iter().any(|network| network.contains(address));
    match address {
        IpAddr::V4(_) => !among(NOT_PUBLIC_4),
        IpAddr::V6(_) => GIVEN_6.contains(address) && !among(NOT_PUBLIC_6),
    }
}

impl Networks {
    /// Whether a connection may be made to it. An address of version 4 inside one of version 6 is what it stands for.
    pub fn let_through(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(address))
    }
}

/// The text is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 10.1.0.0/16 or fd00::/8")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.trim().parse().map_err(|_| bad()))?;
        if bits <= all { Ok(Self { first, bits }) } else { Err(bad()) }
    }
}
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}
impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(networks: &[&str], address: &str) -> bool {
        let networks = Networks(networks.iter().map(|text| text.parse().unwrap()).collect());
        networks.let_through(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_let_through() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!lets(&[], address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "::ffff:8.8.8.8",
        ] {
            assert!(lets(&[], address), "{address}");
        }
        for address in ["2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450::1", "2001:200::1"] {
            assert!(lets(&[], address), "{address}");
        }
    }

    #[test]
    fn what_is_listed_is_let_through_and_nothing_beside_it() {
        assert!(lets(&["127.0.0.0/8"], "127.0.0.1") && lets(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
        assert!(!lets(&["127.0.0.0/8"], "10.0.0.1") && !lets(&["127.0.0.0/8"], "::1"));
        assert!(lets(&["10.1.2.3"], "10.1.2.3") && !lets(&["10.1.2.3"], "10.1.2.4"));
        assert!(lets(&["fd00:1::/32"], "fd00:1::9") && !lets(&["fd00:1::/32"], "fd00:2::9"));
        assert!(lets(&["0.0.0.0/0"], "10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "name/8"] {
            assert!(text.parse::<Network>().unwrap_err().to_string().contains(text), "{text}");
        }
        assert_eq!("10.1.0.0/16".parse::<Network>().unwrap().to_string(), "10.1.0.0/16");
    }
}
