//! resolv.conf, the stub resolver, and the algorithms of other resolvers.
