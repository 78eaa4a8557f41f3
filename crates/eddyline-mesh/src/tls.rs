//! Encryption of a connection, and what ties it to the handshake.
//!
//! Each process makes a key and a self-signed certificate when it starts and forgets them when it ends. Nobody
//! verifies the certificate's issuer or name: there is no certificate authority to run, and nothing to expire.
//!
//! Why that is sound: TLS 1.3 gives both ends of one connection, and nobody else, a common value that is different in
//! each connection — the exporter (RFC 8446 § 7.5). Both proofs of the handshake ([`crate::handshake`]) cover it.
//! Somebody in the middle who ends TLS on both sides holds two connections with two different exporters. To pass, it
//! would have to hand a proof over one exporter to a side that expects it over the other, and it cannot make one
//! without the secret. So whoever completes the handshake holds the TLS keys *and* knows the secret, which is what a
//! certificate would have shown. Nothing of the job crosses a connection before that. What an attacker does learn is
//! one HMAC, from which a guessable secret could be guessed: hence the least length of [`crate::Secret`].
//!
//! Only TLS 1.3, no resumption, no early data: each exporter stands for one full key exchange. A peer that presents a
//! certificate must still sign with its key, as TLS asks.

use std::net::SocketAddr;
use std::sync::Arc;

use eddyline_core::{Error, Result};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme,
};

use crate::handshake::Binding;

/// The name in every certificate; carries no meaning.
const CERTIFICATE_NAME: &str = "eddyline.invalid";

/// The label under which the exporter is taken; belongs to this protocol alone.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-eddyline-handshake";

/// Whether connections are encrypted. All processes of a job must use the same mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// TLS unless both ends have loopback addresses, that is, are on one machine.
    #[default]
    Auto,
    /// TLS always.
    Always,
    /// Never TLS: the proof is still mutual, but whoever is on the path can read and change all that follows.
    Never,
}

impl TlsMode {
    /// Whether a connection between these addresses is encrypted; both ends come to the same answer.
    pub(crate) fn applies(self, local: SocketAddr, remote: SocketAddr) -> bool {
        match self {
            TlsMode::Auto => !(is_loopback(local) && is_loopback(remote)),
            TlsMode::Always => true,
            TlsMode::Never => false,
        }
    }
}

/// An IPv4 address may show as an IPv6 one on a socket that serves both.
fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// The key and certificate of this process, ready for both parts.
#[derive(Clone)]
pub(crate) struct TlsKeys {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl TlsKeys {
    /// Makes a fresh key and certificate.
    pub(crate) fn generate() -> Result<Self> {
        let certified = rcgen::generate_simple_self_signed([CERTIFICATE_NAME.to_owned()])
            .map_err(|error| Error::internal("cannot make a certificate").with_detail(error.to_string()))?;
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(configuration_failed)?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .map_err(configuration_failed)?;
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(configuration_failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ProvenByHandshake { provider }))
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(TlsKeys { server: Arc::new(server), client: Arc::new(client) })
    }

    /// A new connection in the part of the one that connects.
    pub(crate) fn connecting(&self) -> Result<Connection> {
        let name = ServerName::try_from(CERTIFICATE_NAME).expect("invariant: a constant valid name");
        ClientConnection::new(self.client.clone(), name).map(Connection::from).map_err(configuration_failed)
    }

    /// A new connection in the part of the one that accepts.
    pub(crate) fn accepting(&self) -> Result<Connection> {
        ServerConnection::new(self.server.clone()).map(Connection::from).map_err(configuration_failed)
    }
}

/// The value that both ends of this TLS connection, and nobody else, can compute.
pub(crate) fn exporter(connection: &Connection) -> Result<Binding> {
    let value = connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map_err(|error| Error::internal("TLS gives no exporter").with_detail(error.to_string()))?;
    Ok(Some(value))
}

fn configuration_failed(error: rustls::Error) -> Error {
    Error::internal("cannot set up TLS").with_detail(error.to_string())
}

/// Accepts any certificate, but no wrong signature: who the peer is, is proven afterwards.
#[derive(Debug)]
struct ProvenByHandshake {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ProvenByHandshake {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_at_both_ends_goes_without_tls() {
        let local: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:1".parse().unwrap();
        let remote: SocketAddr = "192.0.2.1:1".parse().unwrap();
        assert!(!TlsMode::Auto.applies(local, local));
        assert!(!TlsMode::Auto.applies(local, mapped));
        assert!(TlsMode::Auto.applies(local, remote));
        assert!(TlsMode::Auto.applies(remote, local));
        assert!(TlsMode::Always.applies(local, local));
        assert!(!TlsMode::Never.applies(remote, remote));
    }
}
