//! System calls that std does not offer: namespaces and socket options. The only room with `unsafe`.
