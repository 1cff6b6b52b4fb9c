//! Stand-ins for the parts of a cluster that a machine may lack.
