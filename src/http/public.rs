//! The addresses of the public network: a vendor may give any address for a recording.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Hosts that are remembered as named by a vendor: each has a handful of stores.
const HOSTS_MAX: usize = 1_000;

/// Returns whether an address is public: not of this machine, a private or a provider's own
/// network, a link, a group, or one that carries such an address within it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The registry is IANA's, of special-purpose addresses (RFC 6890 and its successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = match first {
        0 | 10 | 127 | 224..=255 => true,
        100 => (64..128).contains(&second),
        169 => second == 254,
        172 => (16..32).contains(&second),
        192 => {
            second == 168
                || (second == 0 && (third == 0 || third == 2))
                || (second == 88 && third == 99)
        }
        198 => (18..20).contains(&second) || (second == 51 && third == 100),
        203 => second == 0 && third == 113,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // Mapped, compatible and translated addresses are the IPv4 addresses that they hold.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => within(high, low),
        // Teredo and what stands in documents, then all that is not of the global range 2000::/3.
        [0x2001, 0 | 0xdb8, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Looks up hosts. A host that a vendor named is refused when it has no public address; others,
/// such as a proxy of the environment, are the administrator's choice.
#[derive(Debug, Clone)]
pub(super) struct PublicHosts {
    /// The host of the service itself: if it has no public address, its files need none either.
    base: Option<String>,
    named: Arc<Mutex<HashSet<String>>>,
}

impl PublicHosts {
    /// Returns the resolver for the files of the service at `base`.
    pub(super) fn for_service(base: &url::Url) -> Self {
        Self { base: base.host_str().map(str::to_owned), named: Arc::default() }
    }

    /// Notes a host that a vendor named, before it is connected to.
    ///
    /// # Errors
    /// When its address is none of the public network, or too many hosts were named.
    pub(super) async fn admit_host(&self, url: &url::Url) -> Result<(), RefusedAddress> {
        let Some(host) = url.host() else {
            return Err(RefusedAddress("it names no host".to_owned()));
        };
        let literal = match host {
            url::Host::Domain(name) => {
                let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if named.len() >= HOSTS_MAX && !named.contains(&name) {
                    return Err(RefusedAddress(format!(
                        "the service has named more than {HOSTS_MAX} hosts"
                    )));
                }
                named.insert(name);
                return Ok(());
            }
            url::Host::Ipv4(address) => IpAddr::V4(address),
            url::Host::Ipv6(address) => IpAddr::V6(address),
        };
        if is_public(literal) || self.base_is_own().await {
            Ok(())
        } else {
            Err(RefusedAddress::private(&literal.to_string()))
        }
    }

    fn is_named(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.named.lock().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }

    /// Returns whether the service itself is on this machine or in a network of one's own.
    async fn base_is_own(&self) -> bool {
        let Some(base) = &self.base else { return false };
        let found = tokio::net::lookup_host((base.trim_matches(['[', ']']), 0)).await;
        found.is_ok_and(|mut found| found.any(|address| !is_public(address.ip())))
    }

    async fn look_up(
        self,
        host: String,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
        if !self.is_named(&host) {
            return Ok(found);
        }
        let public: Vec<SocketAddr> =
            found.iter().copied().filter(|address| is_public(address.ip())).collect();
        if !public.is_empty() {
            return Ok(public);
        }
        if self.base_is_own().await {
            Ok(found)
        } else {
            Err(RefusedAddress::private(&host).into())
        }
    }
}

/// An address from which nothing is fetched, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct RefusedAddress(pub(super) String);

impl RefusedAddress {
    /// Returns the refusal of a host whose addresses are none of the public network.
    fn private(host: &str) -> Self {
        Self(format!(
            "`{}` is on this machine or in a network of one's own, where the service's files are fetched only if \
             `base_url` is there",
            crate::text::one_line(host, 100)
        ))
    }

    /// Returns the refusal in which a failure to connect ended, if it did: a name is looked up only then.
    pub(super) fn in_causes_of<'a>(
        error: &'a (dyn std::error::Error + 'static),
    ) -> Option<&'a Self> {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.into_iter().find_map(|error| error.downcast_ref())
    }
}

impl Resolve for PublicHosts {
    fn resolve(&self, name: Name) -> Resolving {
        let looked_up = self.clone().look_up(name.as_str().to_owned());
        Box::pin(async { Ok(Box::new(looked_up.await?.into_iter()) as Addrs) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_own_networks_are_not_public_however_they_are_written() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
            "64:ff9b::101:101",
            "2a00::1",
        ] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[tokio::test]
    async fn a_host_is_admitted_where_it_is_public_or_the_service_itself_is_not() {
        for (base, target, is_admitted) in [
            ("https://8.8.8.8/", "https://127.0.0.1/x", false),
            ("https://8.8.8.8/", "https://[::ffff:10.0.0.1]/x", false),
            // A number is an address in any notation that URLs know.
            ("https://8.8.8.8/", "https://2130706433/x", false),
            ("https://8.8.8.8/", "https://0x7f.1/x", false),
            ("https://8.8.8.8/", "https://1.1.1.1/x", true),
            ("https://8.8.8.8/", "https://localhost/x", false),
            ("https://8.8.8.8/", "https://LOCALHOST./x", false),
            ("http://127.0.0.1:1/", "http://127.0.0.1:2/x", true),
            ("http://127.0.0.1:1/", "http://localhost:2/x", true),
            ("http://[::1]:1/", "http://10.0.0.1/x", true),
        ] {
            let hosts = PublicHosts::for_service(&base.parse().expect("a URL"));
            let url: url::Url = target.parse().expect("a URL");
            let admitted = match (hosts.admit_host(&url).await, url.domain()) {
                (Ok(()), Some(name)) => hosts.clone().look_up(name.to_owned()).await.is_ok(),
                (admitted, _) => admitted.is_ok(),
            };
            assert_eq!(admitted, is_admitted, "{target} of {base}");
        }
        // A name is refused while it is connected to, and the failure says so in its causes.
        let hosts = PublicHosts::for_service(&"https://8.8.8.8/".parse().expect("a URL"));
        let url: url::Url = "http://localhost:1/x".parse().expect("a URL");
        hosts.admit_host(&url).await.expect("a name may be public");
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(Arc::new(hosts))
            .build()
            .expect("a client");
        let error = client.get(url).send().await.expect_err("not connected");
        assert_eq!(
            RefusedAddress::in_causes_of(&error),
            Some(&RefusedAddress::private("localhost"))
        );
        // A proxy of the environment is no host that a vendor named.
        let hosts = PublicHosts::for_service(&"https://8.8.8.8/".parse().expect("a URL"));
        assert!(hosts.look_up("localhost".to_owned()).await.is_ok());
    }
}
