//! Nothing of its own: the tests of the crate, bound to the software driver at link time.
