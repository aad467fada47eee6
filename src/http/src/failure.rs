//! Why a transfer failed: the number libcurl gives it (libcurl-errors(3)), and one line.

use std::fmt;

/// Numbers of libcurl-errors(3), as far as HTTP can meet them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// CURLE_UNSUPPORTED_PROTOCOL
    UnsupportedProtocol = 1,
    /// CURLE_FAILED_INIT, also a wrong command line
    FailedInit = 2,
    /// CURLE_URL_MALFORMAT
    UrlMalformat = 3,
    /// CURLE_NOT_BUILT_IN
    NotBuiltIn = 4,
    /// CURLE_COULDNT_RESOLVE_PROXY
    ResolveProxy = 5,
    /// CURLE_COULDNT_RESOLVE_HOST
    ResolveHost = 6,
    /// CURLE_COULDNT_CONNECT
    Connect = 7,
    /// CURLE_WEIRD_SERVER_REPLY
    WeirdReply = 8,
    /// CURLE_HTTP2
    Http2 = 16,
    /// CURLE_PARTIAL_FILE
    Partial = 18,
    /// CURLE_HTTP_RETURNED_ERROR
    HttpReturned = 22,
    /// CURLE_WRITE_ERROR
    Write = 23,
    /// CURLE_UPLOAD_FAILED
    UploadFailed = 25,
    /// CURLE_READ_ERROR
    Read = 26,
    /// CURLE_OPERATION_TIMEDOUT
    TimedOut = 28,
    /// CURLE_RANGE_ERROR
    Range = 33,
    /// CURLE_SSL_CONNECT_ERROR
    SslConnect = 35,
    /// CURLE_BAD_DOWNLOAD_RESUME
    BadResume = 36,
    /// CURLE_FILE_COULDNT_READ_FILE
    FileRead = 37,
    /// CURLE_BAD_FUNCTION_ARGUMENT
    BadArgument = 43,
    /// CURLE_INTERFACE_FAILED
    Interface = 45,
    /// CURLE_TOO_MANY_REDIRECTS
    TooManyRedirects = 47,
    /// CURLE_SETOPT_OPTION_SYNTAX
    OptionSyntax = 49,
    /// CURLE_GOT_NOTHING
    GotNothing = 52,
    /// CURLE_SEND_ERROR
    Send = 55,
    /// CURLE_RECV_ERROR
    Recv = 56,
    /// CURLE_SSL_CERTPROBLEM
    CertProblem = 58,
    /// CURLE_SSL_CIPHER
    Cipher = 59,
    /// CURLE_PEER_FAILED_VERIFICATION
    PeerVerification = 60,
    /// CURLE_BAD_CONTENT_ENCODING
    ContentEncoding = 61,
    /// CURLE_FILESIZE_EXCEEDED
    FileSize = 63,
    /// CURLE_SEND_FAIL_REWIND
    Rewind = 65,
    /// CURLE_LOGIN_DENIED
    LoginDenied = 67,
    /// CURLE_SSL_CACERT_BADFILE
    CaFile = 77,
    /// CURLE_REMOTE_FILE_NOT_FOUND
    RemoteNotFound = 78,
    /// CURLE_SSL_PINNEDPUBKEYNOTMATCH
    Pin = 90,
    /// CURLE_HTTP2_STREAM
    Http2Stream = 92,
    /// CURLE_PROXY
    Proxy = 97,
    /// CURLE_SSL_CLIENTCERT
    ClientCert = 98,
    /// CURLE_TOO_LARGE
    TooLarge = 100,
}

impl Code {
    /// The number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A failed transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub code: Code,
    /// One line.
    pub text: String,
}

impl Failure {
    /// A failure with its line.
    pub fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
