//! `multus`: the CNI plugin that gives a pod every network it asked for.

fn main() {}
