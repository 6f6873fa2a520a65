//! Tests of the rules across files.
