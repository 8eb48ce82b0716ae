//! Compares what two servers said in the same check.
