//! What the NF does.
