//! Certificates made for a test, and doors that speak TLS before a server that does not.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    OtherName,
    Expired,
    SelfSigned,
    /// It is its own authority, which the process trusts: what `openssl req -x509` makes.
    OwnAuthority,
}

/// A certification authority; a process trusts it by `SSL_CERT_FILE`.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// A new one, its certificate in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random numbers");
        let file = dir.join("ca.pem");
        fs::write(&file, params.self_signed(&key).expect("signed").pem()).expect("written");
        Self { issuer: Issuer::new(params, key), file }
    }

    /// What makes a process trust it.
    pub(crate) fn trusted(&self) -> (&'static str, &str) {
        ("SSL_CERT_FILE", self.file.to_str().expect("UTF-8"))
    }

    fn acceptor(&self, kind: Kind) -> TlsAcceptor {
        let names = if kind == Kind::OtherName {
            vec!["other.example"]
        } else {
            vec!["localhost", "127.0.0.1"]
        };
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).expect("names");
        if kind == Kind::Expired {
            (params.not_before, params.not_after) =
                (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        if kind == Kind::OwnAuthority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("random numbers");
        let signed = match kind {
            Kind::SelfSigned | Kind::OwnAuthority => params.self_signed(&key),
            Kind::Good | Kind::OtherName | Kind::Expired => params.signed_by(&key, &self.issuer),
        };
        let signed = signed.expect("signed");
        if kind == Kind::OwnAuthority {
            fs::write(&self.file, signed.pem()).expect("written");
        }
        let chain: Vec<CertificateDer<'static>> = vec![signed.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        TlsAcceptor::from(Arc::new(config.expect("a configuration")))
    }
}

/// How a door protects the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the first byte.
    Tls(Kind),
    /// As an SMTP server does when it is asked to.
    Starttls(Kind),
    /// Not at all, though it is an SMTP server that once did.
    NoStarttls,
}

/// A door before a server on loopback.
pub(crate) struct Door {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    /// Ends the door.
    _open: tokio::sync::oneshot::Sender<()>,
}

impl Door {
    /// Opens a door before the server on `behind`.
    pub(crate) fn open(authority: &Authority, way: Way, behind: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let acceptor = authority.acceptor(match way {
            Way::Tls(kind) | Way::Starttls(kind) => kind,
            Way::NoStarttls => Kind::Good,
        });
        let (open, closed) = tokio::sync::oneshot::channel();
        let heard = Arc::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                listener.set_nonblocking(true).expect("set");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let mut guests = tokio::task::JoinSet::new();
                let serve = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        guests.spawn(through(
                            stream,
                            way,
                            acceptor.clone(),
                            behind,
                            Arc::clone(&hearing),
                        ));
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = closed => {}
                }
            });
        });
        Self { port, heard, _open: open }
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All that was said to it, decrypted.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no guest panics")).into_owned()
    }
}

type Heard = Arc<Mutex<Vec<u8>>>;

/// One guest; however it ends, what counts is what was heard.
async fn through(stream: TcpStream, way: Way, acceptor: TlsAcceptor, behind: u16, heard: Heard) {
    drop(Box::pin(pass(stream, way, acceptor, behind, &heard)).await);
}

async fn pass(
    stream: TcpStream,
    way: Way,
    acceptor: TlsAcceptor,
    behind: u16,
    heard: &Heard,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).await?;
    let stream = match way {
        Way::Tls(_) => stream,
        Way::Starttls(_) | Way::NoStarttls => {
            match ask_to_protect(stream, &mut server, way, heard).await? {
                Some(stream) => stream,
                None => return Ok(()),
            }
        }
    };
    let guest = acceptor.accept(stream).await?;
    let (mut from_guest, mut to_guest) = tokio::io::split(guest);
    let (mut from_server, mut to_server) = server.split();
    let inwards = async {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from_guest.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            heard.lock().expect("no guest panics").extend_from_slice(&buffer[..read]);
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let outwards = async {
        tokio::io::copy(&mut from_server, &mut to_guest).await?;
        to_guest.shutdown().await
    };
    tokio::try_join!(inwards, outwards).map(drop)
}

/// The part of an SMTP conversation that is in the clear; gives the stream back when it is to be protected.
async fn ask_to_protect(
    stream: TcpStream,
    server: &mut TcpStream,
    way: Way,
    heard: &Heard,
) -> std::io::Result<Option<TcpStream>> {
    let mut greeting = String::new();
    BufReader::with_capacity(1, &mut *server).read_line(&mut greeting).await?;
    let mut guest = BufReader::new(stream);
    guest.get_mut().write_all(greeting.as_bytes()).await?;
    loop {
        let mut line = String::new();
        if guest.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        heard.lock().expect("no guest panics").extend_from_slice(line.as_bytes());
        let answer = match line.split_whitespace().next() {
            Some("EHLO") if way == Way::NoStarttls => {
                "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 50000000\r\n"
            }
            Some("EHLO") => "250-mail.test\r\n250 STARTTLS\r\n",
            Some("STARTTLS") if way != Way::NoStarttls => {
                guest.get_mut().write_all(b"220 go ahead\r\n").await?;
                return Ok(Some(guest.into_inner()));
            }
            Some("QUIT") => return Ok(None),
            // It takes whatever it is given, as somebody who listens in would.
            Some("AUTH") => "235 welcome\r\n",
            Some("DATA") => "354 go on\r\n",
            Some(_) | None => "250 fine\r\n",
        };
        guest.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// A server that speaks HTTP, and no TLS, and remembers what it heard.
pub(crate) struct InTheClear {
    pub(crate) port: u16,
    heard: Heard,
}

impl InTheClear {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (port, heard) = (listener.local_addr().expect("bound").port(), Heard::default());
        let hearing = Arc::clone(&heard);
        // It ends with the process of the tests.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap_or_default();
                hearing.lock().expect("no guest panics").extend_from_slice(&buffer[..read]);
                drop(stream.write_all(
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                ));
            }
        });
        Self { port, heard }
    }

    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no guest panics")).into_owned()
    }
}
