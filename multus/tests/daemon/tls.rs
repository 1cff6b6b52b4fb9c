//! TLS in front of the test's API server, with client certificates of an authority of the test's own.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, SerialNumber,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::api::Api;

/// Signs the server's certificate and those of nodes.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A client certificate for a request, valid in these hours from now.
    #[expect(clippy::disallowed_methods, reason = "TLS goes by the real clock")]
    pub(crate) fn issue(&self, request: &str, serial: u64, hours: Range<i32>) -> String {
        let mut asked = CertificateSigningRequestParams::from_pem(request).unwrap();
        let hour = |number: i32| {
            let far = Duration::from_hours(number.unsigned_abs().into());
            let now = SystemTime::now();
            if number < 0 { now - far } else { now + far }
        };
        asked.params.not_before = hour(hours.start).into();
        asked.params.not_after = hour(hours.end).into();
        asked.params.serial_number = Some(SerialNumber::from(serial));
        asked.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        asked.signed_by(&self.issuer).unwrap().pem()
    }

    /// Serves `api` over TLS, to callers without a certificate, too; its URL.
    pub(crate) async fn front(&self, api: &Api) -> String {
        let acceptor = self.acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let api = api.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, api) = (acceptor.clone(), api.clone());
                tokio::spawn(async move {
                    // A certificate of another authority ends the handshake.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let presented = stream.get_ref().1.peer_certificates();
                        let caller = presented.map(|chain| name(&chain[0]));
                        api.serve(stream, caller).await;
                    }
                });
            }
        });
        url
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![own.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Common name and serial number.
fn name(certificate: &CertificateDer<'_>) -> String {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let name = parsed.subject().iter_common_name().next().unwrap();
    format!(
        "{} {}",
        name.as_str().unwrap(),
        parsed.tbs_certificate.serial
    )
}
