//! The data plane against a real store, a real vault and scripted providers on loopback.
