//! HTTP for every applet: the HTTP/1 codec over a stream whose bytes are all seen, HTTP/2, content codings, cookies,
//! authentication, and connections with every attempt recorded.

pub mod auth;
pub mod chunked;
pub mod cookies;
pub mod date;
pub mod decode;
mod failure;
pub mod h2;
pub mod head;
pub mod net;
pub mod url;

pub use failure::{Code, Failure};
pub use url::Url;
