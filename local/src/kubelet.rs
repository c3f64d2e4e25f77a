//! The pod runner: pods of the embedded API as processes of this machine.
